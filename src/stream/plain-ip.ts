/** An IPv4 client of a socket for both families, as everybody else writes it. */
export function plainIp(ip: string): string {
  return ip.startsWith('::ffff:') ? ip.slice('::ffff:'.length) : ip
}
