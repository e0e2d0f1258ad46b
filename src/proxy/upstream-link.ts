/** The way to a target: an idle connection, a stream of one that is shared, or a new one. */
import type { PickedTarget } from '#balancer/contract.ts'
import type { CompiledService } from '#snapshot/snapshot.ts'
import type { UpstreamLink } from '#upstream/link.ts'
import { poolKey } from '#upstream/pool.ts'
import { withoutPort } from './upstream-request.ts'
import type { WorkerContext } from './worker-context.ts'

/** @param isUpgrade whether the connection will be given away, so that it is not one of the pool's */
export function linkTo(
  worker: WorkerContext,
  service: CompiledService,
  target: PickedTarget,
  hostHeader: string,
  isUpgrade: boolean,
): UpstreamLink {
  const tls = service.tls === null ? null : service.tls(withoutPort(hostHeader))
  const key = tls === null ? worker.plainPoolKey(target) : poolKey(target.ip, target.port, tls)
  if (service.isHttp2) return worker.http2Pool.link(key, target.ip, target.port, tls)
  return (isUpgrade ? null : worker.pool.take(key)) ?? worker.pool.open(key, target.ip, target.port, tls)
}
