import { STATUS_CODES } from 'node:http'

/** `HTTP/1.1 200 OK\r\n` and its kin, made once. */
const LINES = new Map<number, string>(
  Object.entries(STATUS_CODES).map(([code, reason]) => [Number(code), `HTTP/1.1 ${code} ${reason}\r\n`]),
)
LINES.set(494, 'HTTP/1.1 400 Bad Request\r\n')

export function statusLine(status: number, reason: string | null): string {
  if (reason !== null) {
    const known = LINES.get(status)
    if (known !== undefined && known.length === 15 + reason.length && known.startsWith(reason, 13)) return known
    return `HTTP/1.1 ${status} ${reason}\r\n`
  }
  return LINES.get(status) ?? `HTTP/1.1 ${status} Unknown\r\n`
}
