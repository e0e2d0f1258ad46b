/** Stored responses that the nodes of a data center share in a Redis, behind each node's own `ResponseCache`. */
import type { RedisBlock } from '#model/redis-block.ts'
import type { StoredResponse } from './stored-response.ts'

/** Connections are shared and made in the background. Throws when there is no such Redis. */
export type OpenSharedResponses = (block: RedisBlock) => SharedResponses

/** What was purged by some moment; to be given back, not to be looked into. */
export interface PurgeMoment {
  readonly log: number
  readonly redis: number
}

export interface SharedAnswer {
  /**
   * `fresh`: here it is; `none`: nothing, and nobody was asked to fetch; `mine`: who asked is to fetch it, and `claim` is not '';
   * `taken`: somebody else fetches; `pass`: it can't be stored, so that nobody should wait for it.
   */
  readonly state: 'fresh' | 'none' | 'mine' | 'taken' | 'pass'
  /** With `fresh` what is stored, else what is stale, where that was wanted. */
  readonly value: StoredResponse | null
  readonly claim: string
}

/** Nothing rejects or takes longer than the deadline of a command. */
export interface SharedResponses {
  /** Larger values are not kept. */
  readonly largestBytes: number
  /** What was purged by now: to be remembered when a response is asked for, and given to `store`. */
  readonly moment: PurgeMoment
  /**
   * Null at once while Redis is known not to answer, null later when it did not in time. What is fresh is in the node's own memory
   * then. With `claims` who asks would fetch what is missing; a claim that is `mine` has to be ended by `store` or `endClaim`.
   */
  find(
    text: string,
    question: { readonly claims: boolean; readonly wantsStale: boolean },
  ): Promise<SharedAnswer | null> | null
  /** Keeps what `encodeStored` made, and ends the claim ('' for none). Not waited for. */
  store(
    text: string,
    value: Buffer,
    names: readonly string[],
    options: {
      /** Unix ms. */
      readonly freshUntilMs: number
      readonly expiresAtMs: number
      readonly moment: PurgeMoment
      readonly claim: string
    },
  ): void
  /** Lets others fetch; for `passMs` they are told not to wait for each other. */
  endClaim(text: string, claim: string, passMs: number): void
  /** Drops everything that was stored with this name, on every node of the data center. */
  purge(name: string): void
  close(): void
}
