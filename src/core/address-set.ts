import { BlockList, isIP } from 'node:net'

/** The addresses and networks (`address/bits`) of a list, IPv4 and IPv6; each was checked when it was written. */
export function addressSet(entries: Iterable<string>): BlockList {
  const set = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) set.addAddress(address, family)
    else set.addSubnet(address, Number(bits), family)
  }
  return set
}
