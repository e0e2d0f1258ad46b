import { freeGatewayPorts, startGateway, type Gateway } from './gateway.ts'
import { startUpstream, type Upstream } from './upstream-server.ts'

/** A gateway that takes HTTP/2 with and without TLS, as fast as it can, before an upstream that says `ok`. */
export async function startFloodedGateway(
  settings: Readonly<Record<string, string>>,
): Promise<{ readonly gateway: Gateway; readonly upstream: Upstream }> {
  const upstream = await startUpstream((_request, response) => void response.end('ok'))
  const ports = await freeGatewayPorts()
  const gateway = await startGateway({
    ports,
    settings: {
      proxy_listen: `127.0.0.1:${ports.proxy} http2, 127.0.0.1:${ports.tls} ssl http2`,
      overload_delay: '0',
      ...settings,
    },
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${upstream.port}`, routes: [{ paths: ['/'] }] }],
    },
  })
  return { gateway, upstream }
}
