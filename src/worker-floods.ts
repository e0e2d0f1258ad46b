/** What a worker remembers of floods, and tells of it. */
import { RecentFloods } from '#http/h2/recent-floods.ts'
import type { Settings } from '#model/settings.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { GatewayLog } from '#telemetry/logger.ts'

const FORGET_EVERY_MS = 1000

export interface FloodParts {
  readonly settings: Pick<Settings, 'http2_flood_connection_rate'>
  /** Whether an address is in `trusted_ips`. */
  readonly isTrusted: (address: string) => boolean
  readonly log: GatewayLog['log']
  readonly figures: Figures
}

/** Floods are logged when the first connection is refused for them, and when none is any more: not for each address. */
export function rememberFloods({ settings, isTrusted, log, figures }: FloodParts): RecentFloods {
  const { http2_flood_connection_rate: rate } = settings
  let refusedBefore = 0
  const floods = new RecentFloods({
    connectionsPerSecond: rate === 0 ? Infinity : rate,
    isProxy: isTrusted,
    onChange: (address) => {
      if (address !== null)
        log.warn(
          { address, rate },
          'connections are refused from addresses that flood over HTTP/2, this one and maybe others',
        )
      else {
        log.info({ refused: floods.refused - refusedBefore }, 'no connections are refused for floods any more')
        refusedBefore = floods.refused
      }
    },
  })
  figures.gauge('meridian_flood_connections_refused_total', {}, () => floods.refused)
  setInterval(() => floods.forget(), FORGET_EVERY_MS)
  return floods
}
