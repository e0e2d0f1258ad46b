/** The health of all targets as rows for the metrics: plain data, and no more of it than a page can hold. */
import type { UpstreamHealthReport } from './health-report.ts'

/** `address` is '' for a target whose name has none; `state` is Kong's word in lower case. */
export type TargetState = readonly [upstream: string, target: string, address: string, state: string]

export interface TargetStates {
  readonly rows: readonly TargetState[]
  /** Addresses that found no place. */
  readonly left: number
}

/** At most `limit` rows, in the order of the reports. */
export function targetStates(
  reports: Iterable<readonly [upstream: string, report: UpstreamHealthReport]>,
  limit: number,
): TargetStates {
  const rows: TargetState[] = []
  let left = 0
  const add = (...row: TargetState): void => {
    if (rows.length < limit) rows.push(row)
    else left++
  }
  for (const [upstream, { targets }] of reports) {
    for (const { target, data } of targets) {
      if (data.addresses.length === 0) add(upstream, target, '', 'dns_error')
      for (const { ip, port, health } of data.addresses) add(upstream, target, `${ip}:${port}`, health.toLowerCase())
    }
  }
  return { rows, left }
}
