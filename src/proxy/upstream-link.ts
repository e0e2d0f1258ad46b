/** The way to a target: an idle connection, a stream of one that is shared, or a new one. */
import type { PickedTarget } from '#balancer/contract.ts'
import type { CompiledService } from '#snapshot/snapshot.ts'
import type { UpstreamLink } from '#upstream/link.ts'
import { writeProxyHeader } from '#http/proxy-header.ts'
import type { ClientRequest } from '#pdk/exchange.ts'
import { poolKey, type TlsTarget } from '#upstream/pool.ts'
import { withoutPort } from './upstream-request.ts'
import type { WorkerContext } from './worker-context.ts'

/** @param isUpgrade whether the connection will be given away, so that it is not one of the pool's */
export function linkTo(
  worker: WorkerContext,
  service: CompiledService,
  target: PickedTarget,
  hostHeader: string,
  isUpgrade: boolean,
  client: ClientRequest,
): UpstreamLink {
  const tls = service.tls === null ? null : service.tls(withoutPort(hostHeader))
  const key = tls === null ? worker.plainPoolKey(target) : poolKey(target.ip, target.port, tls)
  if (service.isHttp2) return worker.http2Pool.link(key, target.ip, target.port, tls)
  if (service.proxyHeader !== null)
    return linkOfClient(worker, service.proxyHeader, target, key, tls, isUpgrade, client)
  return (isUpgrade ? null : worker.pool.take(key)) ?? worker.pool.open(key, target.ip, target.port, tls)
}

/** A connection that begins with who its client is serves requests of that client alone. */
function linkOfClient(
  worker: WorkerContext,
  version: 1 | 2,
  { ip, port }: PickedTarget,
  addressKey: string,
  tls: TlsTarget | null,
  isUpgrade: boolean,
  { clientIp, clientPort, serverIp, serverPort }: ClientRequest,
): UpstreamLink {
  const key = `${addressKey}|v${version} ${clientIp} ${clientPort} ${serverIp} ${serverPort}`
  const idle = isUpgrade ? null : worker.pool.take(key)
  if (idle !== null) return idle
  const addresses = { sourceIp: clientIp, sourcePort: clientPort, destinationIp: serverIp, destinationPort: serverPort }
  return worker.pool.open(key, ip, port, tls, writeProxyHeader(version, addresses))
}
