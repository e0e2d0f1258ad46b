/** What a plugin translates by: the methods of its .proto file, read in the background when a configuration is prepared. */
import type { Exchange, Exit, PluginTools } from '#pdk'
import { loadProtoFile, type Method } from './proto-file.ts'

/** Null when the file can't be used; the log has said why. */
export type Methods = Promise<readonly Method[] | null>

export function loadMethods(file: string, plugin: string, { log, pluginId }: PluginTools): Methods {
  return loadProtoFile(file).catch((error: unknown) => {
    log.error(
      { plugin, plugin_id: pluginId, proto: file, err: error },
      'a .proto file cannot be used, requests that need it are refused',
    )
    return null
  })
}

/** The whole body of the request, or the answer in its place. */
export async function readBody(exchange: Exchange, limitBytes: number): Promise<Buffer | Exit> {
  const { body } = exchange.request
  if (!body.exists) return NO_BYTES
  const bytes = await body.read(limitBytes)
  if (Buffer.isBuffer(bytes)) return bytes
  return bytes.error === 'too_large'
    ? exchange.exit(413, 'the body is too large')
    : exchange.exit(400, 'the body is not whole')
}

/** Makes the request one of gRPC. */
export function askAsGrpc(exchange: Exchange): void {
  const { headers } = exchange.request
  headers.set('Content-Type', 'application/grpc')
  headers.set('TE', 'trailers')
}

/** Whether there is no body of messages: the call failed before the first one, or the gateway answered itself. */
export function endedWithHead({ response }: Exchange): boolean {
  return response.source !== 'service' || response.headers.has('grpc-status')
}

/** A message that is translated must come as it is. */
export function refuseCompression({ request }: Exchange): void {
  request.headers.remove('grpc-accept-encoding')
  request.headers.remove('grpc-encoding')
}

const NO_BYTES = Buffer.alloc(0)
