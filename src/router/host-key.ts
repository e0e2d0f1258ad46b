/** Where a route's host is looked up: `hosts` values have a wildcard as their first or last label, a port, or neither. */

export interface HostKey {
  /** Which table: every host, the whole name, its end (`.example.com`) or its start (`example.`). */
  readonly table: 'any' | 'exact' | 'suffix' | 'prefix'
  /** The name or the part of it without the asterisk. */
  readonly name: string
  /** The port that the request must be for, 0 for any. */
  readonly port: number
}

/** For routes without hosts. */
export const ANY_HOST: HostKey = { table: 'any', name: '', port: 0 }

export function hostKeyOf(host: string): HostKey {
  // Of an address such as ::1 no part is a port.
  const [, name = host, digits] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(host) ?? []
  const port = digits === undefined ? 0 : Number(digits)
  if (name.startsWith('*')) return { table: 'suffix', name: name.slice(1), port }
  if (name.endsWith('*')) return { table: 'prefix', name: name.slice(0, -1), port }
  // The Host header has IPv6 addresses in brackets only.
  return { table: 'exact', name: name.includes(':') && !name.startsWith('[') ? `[${name}]` : name, port }
}

export function isWildcard(host: string): boolean {
  return host.includes('*')
}

export function reversed(text: string): string {
  let result = ''
  for (let i = text.length - 1; i >= 0; i--) result += text.charAt(i)
  return result
}
