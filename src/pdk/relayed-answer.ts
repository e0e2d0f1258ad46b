/** The answer of a service that a plugin asked in the place of the upstream, as the answer to the client. */
import { connectionNames, HOP_BY_HOP } from '#core/hop-by-hop.ts'
import { HeaderList } from '#http/header-list.ts'
import type { Exchange, Exit } from './exchange.ts'
import { headerValue } from './wire-text.ts'

/** Fields by name, as texts; several values of one name stay apart. */
export type RelayedFields = Readonly<Record<string, string | readonly string[] | undefined>>

const NOT_PASSED_ON: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'proxy-authenticate'])
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Whether this can be a field's name (RFC 9110 5.6.2). */
export function isFieldName(name: string): boolean {
  return TOKEN.test(name)
}

/** Names must be ones: what comes from a service over HTTP is, what it says in a text has to be looked at. */
export function relayAnswer(exchange: Exchange, status: number, fields: RelayedFields, body: Buffer): Exit {
  const list = new HeaderList()
  const named = connectionNames([fields['connection'] ?? []].flat())
  for (const [name, values] of Object.entries(fields)) {
    const lower = name.toLowerCase()
    if (NOT_PASSED_ON.has(lower) || named.includes(lower)) continue
    for (const value of [values ?? []].flat()) list.append(name, headerValue(value))
  }
  return exchange.replay(status, body, list)
}
