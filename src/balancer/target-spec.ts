/** Reads `host:port` of a target: a name, an IPv4 address or an IPv6 one in brackets. The stored form always has the port. */
export function parseTarget(target: string): { readonly name: string; readonly port: number } {
  const colon = target.lastIndexOf(':')
  const port = Number(target.slice(colon + 1))
  const host = target.slice(0, colon)
  if (colon < 1 || host === '[]' || !Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`target: expected host:port, got ${JSON.stringify(target)}`)
  }
  return { name: host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host, port }
}
