/**
 * Turns away new connections from where floods came a moment ago, before anything is made of them: neither a socket, nor TLS, nor a
 * session. Node asks its list of blocked addresses at that place; what it asks here is not a list.
 */
import { BlockList, type SocketAddress } from 'node:net'
import { plainAddress } from '#http/connection-facts.ts'
import type { RecentFloods } from '#http/h2/recent-floods.ts'

export class FloodGate extends BlockList {
  readonly #floods: RecentFloods

  constructor(floods: RecentFloods) {
    super()
    this.#floods = floods
  }

  override check(address: string | SocketAddress): boolean {
    return !this.#floods.admits(plainAddress(typeof address === 'string' ? address : address.address))
  }
}
