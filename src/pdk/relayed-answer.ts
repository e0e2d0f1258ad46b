/** The answer of a service that a plugin asked in the place of the upstream, as the answer to the client. */
import { HeaderList } from '#http/header-list.ts'
import type { Exchange, Exit } from './exchange.ts'
import { headerValue } from './wire-text.ts'

/** Fields by name, as texts; several values of one name stay apart. */
export type RelayedFields = Readonly<Record<string, string | readonly string[] | undefined>>

/** What is about the connection to the service (RFC 9110 7.6.1), and the length, which is counted anew. */
const NOT_PASSED_ON = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Whether this can be a field's name (RFC 9110 5.6.2). */
export function isFieldName(name: string): boolean {
  return TOKEN.test(name)
}

/** Names must be ones: what comes from a service over HTTP is, what it says in a text has to be looked at. */
export function relayAnswer(exchange: Exchange, status: number, fields: RelayedFields, body: Buffer): Exit {
  const list = new HeaderList()
  const named = [fields['connection'] ?? []].flat().flatMap((value) => value.toLowerCase().split(/\s*,\s*/))
  for (const [name, values] of Object.entries(fields)) {
    const lower = name.toLowerCase()
    if (NOT_PASSED_ON.has(lower) || named.includes(lower)) continue
    for (const value of [values ?? []].flat()) list.append(name, headerValue(value))
  }
  return exchange.replay(status, body, list)
}
