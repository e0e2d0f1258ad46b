/** What of a message is about one connection, and not passed on (RFC 9110 7.6.1). */

/** Names in lower case, with the length, which is counted anew. */
export const HOP_BY_HOP = [
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
] as const

/** The names in fields of Connection, in lower case; options of the connection itself are among them. */
export function connectionNames(values: readonly string[]): string[] {
  const names: string[] = []
  for (const list of values) for (const part of list.split(',')) names.push(part.trim().toLowerCase())
  return names
}
