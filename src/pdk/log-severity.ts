/** How severe a finished exchange is to syslog receivers: by the status of its response, as Kong's syslog and loggly decide. */
import type { Exchange } from './exchange.ts'

/** Names in Kong's configurations; the numbers are those of RFC 5424 6.2.1, where 0 is the worst. */
const SEVERITIES = { emerg: 0, alert: 1, crit: 2, err: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const
type SeverityName = keyof typeof SEVERITIES

interface Configured {
  readonly log_level: SeverityName | null
  readonly successful_severity: SeverityName | null
  readonly client_errors_severity: SeverityName | null
  readonly server_errors_severity: SeverityName | null
}

/** The severity of an exchange, or -1 for one that is less severe than `log_level`. */
export function severityOf(config: Configured): (exchange: Exchange) => number {
  const least = SEVERITIES[config.log_level ?? 'info']
  const shown = (name: SeverityName | null): number => {
    const severity = SEVERITIES[name ?? 'info']
    return severity > least ? -1 : severity
  }
  const successful = shown(config.successful_severity)
  const client = shown(config.client_errors_severity)
  const server = shown(config.server_errors_severity)
  return ({ response: { status } }) => (status >= 500 ? server : status >= 400 ? client : successful)
}
