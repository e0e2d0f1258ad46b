import type { Listener } from '#model/settings/listener.ts'

const REACHABLE = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

/** How a program on this machine reaches a TCP listener. */
export function urlOf({ host, port, ssl }: Listener): string {
  const reachable = REACHABLE.get(host) ?? host
  return `${ssl ? 'https' : 'http'}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
