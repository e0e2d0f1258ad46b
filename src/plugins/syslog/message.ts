/** Syslog messages: the old form (RFC 3164), which local daemons take, and RFC 5424. */
export const FACILITIES = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const

export type Facility = keyof typeof FACILITIES

export interface MessageForm {
  readonly format: 'rfc3164' | 'rfc5424'
  readonly facility: Facility
  /** Without it, as local daemons expect: they know the host. Only in the old form. */
  readonly hostname: string | null
  readonly processId: number
}

const IDENT = 'kong'
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `text` has no line feed. */
export function syslogMessage(form: MessageForm, severity: number, atMs: number, text: string): string {
  const priority = FACILITIES[form.facility] * 8 + severity
  if (form.format === 'rfc5424')
    return `<${priority}>1 ${new Date(atMs).toISOString()} ${form.hostname ?? '-'} ${IDENT} ${form.processId} - - ${text}`
  const host = form.hostname === null ? '' : `${form.hostname} `
  return `<${priority}>${localTime(atMs)} ${host}${IDENT}[${form.processId}]: ${text}`
}

/** RFC 3164 4.1.2: `Nov  8 09:17:52`, local time, the day without a leading zero. */
function localTime(atMs: number): string {
  const date = new Date(atMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${time}`
}
