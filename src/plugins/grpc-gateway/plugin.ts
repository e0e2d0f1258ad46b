/** Serves gRPC services to clients of HTTP and JSON, by the rules of a .proto file, as Kong's grpc-gateway does. */
import { definePlugin, type Exchange, type Exit } from '#pdk'
import { MESSAGE_LIMIT_BYTES } from '../grpc/body-limit.ts'
import { frameOf } from '../grpc/frames.ts'
import { encodeJson, JsonMismatch } from '../grpc/json-message.ts'
import type { Method } from '../grpc/proto-file.ts'
import { askAsGrpc, endedWithHead, loadMethods, readBody, refuseCompression } from '../grpc/translation.ts'
import { messageOf } from './message.ts'
import { JsonResponse } from './response-body.ts'
import { matchRule, rulesOf, type Match, type Rule } from './rules.ts'
import { schema } from './schema.ts'
import { httpStatusOf } from './status.ts'

interface State {
  /** Null without a .proto file; in it, null when the file can't be used. */
  readonly rules: Promise<readonly Rule[] | null> | null
}

const CALL = 'grpc-gateway'

export const grpcGateway = definePlugin({
  schema,

  prepare({ proto }, tools): State {
    if (typeof proto !== 'string') return { rules: null }
    const rules = loadMethods(proto, 'grpc-gateway', tools).then((methods) => {
      try {
        return methods === null ? null : rulesOf(methods)
      } catch (error) {
        tools.log.error(
          { plugin: 'grpc-gateway', plugin_id: tools.pluginId, proto, err: error },
          'a .proto file cannot be used, requests that need it are refused',
        )
        return null
      }
    })
    return { rules }
  },

  async access(exchange, { rules }): Promise<void | Exit> {
    const { request } = exchange
    if (request.method === 'OPTIONS') return preflight(exchange)
    if (rules === null) return refused(exchange, 'transcoding requests require a .proto file defining the service')
    const known = await rules
    if (known === null) return exchange.fail(500, 'An unexpected error occurred')
    const match = matchRule(known, request.method, request.path)
    if (match === null) return refused(exchange, `failed to transcode .proto file Unknown path "${request.path}"`)
    const body = await readBody(exchange, MESSAGE_LIMIT_BYTES)
    return Buffer.isBuffer(body) ? translate(exchange, match, body) : body
  },

  responseHeaders(exchange) {
    const { response } = exchange
    const method = exchange.recall(CALL) as Method | undefined
    response.headers.set('Access-Control-Allow-Origin', '*')
    if (method === undefined) return
    // An error of the gateway's own, or of something else before the server, is told as it is.
    if (response.headers.get('content-type')?.startsWith('application/grpc') !== true)
      return void exchange.shared.delete(CALL)
    response.headers.set('Content-Type', 'application/json')
    response.headers.remove('trailer')
    const status = response.headers.get('grpc-status')
    if (status !== null) response.status = httpStatusOf(status)
  },

  responseBody(exchange) {
    const method = exchange.recall(CALL) as Method | undefined
    if (method === undefined || endedWithHead(exchange)) return null
    exchange.response.headers.remove('content-length')
    return new JsonResponse(method)
  },
})

function preflight(exchange: Exchange): Exit {
  return exchange.exit(200, 'OK', {
    contentType: 'application/json',
    headers: {
      'Access-Control-Allow-Methods': 'GET,POST,PATCH,DELETE',
      'Access-Control-Allow-Headers': 'content-type',
    },
  })
}

function refused(exchange: Exchange, message: string): Exit {
  return exchange.exit(400, message)
}

function translate(exchange: Exchange, match: Match, body: Buffer): void | Exit {
  const { request, upstream } = exchange
  const { method } = match.rule
  const message = messageOf(match, request.query, body)
  if (typeof message === 'string') return refused(exchange, message)
  let bytes: Buffer
  try {
    bytes = encodeJson(method.input, message)
  } catch (error) {
    if (error instanceof JsonMismatch) return refused(exchange, error.message)
    throw error
  }
  refuseCompression(exchange)
  askAsGrpc(exchange)
  request.body.replace(frameOf(0, bytes))
  request.query = null
  upstream.method = 'POST'
  upstream.path = method.path
  exchange.shared.set(CALL, method)
}
