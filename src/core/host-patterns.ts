/** Names of hosts, and lists of names with `*` at one end, as Kong's routes and plugins write them. */

/** Whether a lower-case name is in the list. `*` stands for one or more characters at its end: `*.example.com` also takes `a.b.example.com`. */
export function createHostMatcher(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set<string>()
  const ends: string[] = []
  const beginnings: string[] = []
  for (const pattern of patterns.map((text) => text.toLowerCase())) {
    if (pattern.startsWith('*')) ends.push(pattern.slice(1))
    else if (pattern.endsWith('*')) beginnings.push(pattern.slice(0, -1))
    else exact.add(pattern)
  }
  return (name) =>
    exact.has(name) ||
    ends.some((end) => name.length > end.length && name.endsWith(end)) ||
    beginnings.some((beginning) => name.length > beginning.length && name.startsWith(beginning))
}

/** A label of DNS (RFC 1035 2.3.1), in ASCII, lower case. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Whether this is a lower-case name of DNS with at least two labels, and no address. */
export function isDomainName(name: string): boolean {
  if (name.length > 253) return false
  const labels = name.split('.')
  return labels.length > 1 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!)
}
