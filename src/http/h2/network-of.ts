/** The network that one client has to itself: its address of IPv4, the first 64 bits of one of IPv6, whose other bits it may choose. */
export function networkOf(address: string): string {
  const gap = address.indexOf('::')
  if (gap < 0) return address.includes(':') ? first64(address.split(':')) : address
  const before = groups(address.slice(0, gap))
  const after = groups(address.slice(gap + 2))
  return first64([
    ...before,
    ...Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0'),
    ...after,
  ])
}

const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
const first64 = (all: readonly string[]): string => `${all.slice(0, 4).join(':')}::`
