/** What names resolve to: agreed between those who ask (balancers) and the one who looks names up (`upstream/dns`). */

export interface ResolvedAddress {
  readonly ip: string
  /** From SRV; 0 means the port of the service or target. */
  readonly port: number
  /** From SRV, 1 or more but shared by the addresses of the record's name; 0 without SRV, where every address counts alike. */
  readonly weight: number
  readonly priority: number
  /** The name that the SRV record points to; null without SRV. */
  readonly srvName: string | null
}

/** What a name stands for. The same object as long as nothing was asked again, so that a caller sees by identity whether anything changed. */
export type Resolution =
  | {
      readonly ok: true
      readonly type: 'A' | 'AAAA' | 'SRV'
      /** One or more. */
      readonly addresses: readonly ResolvedAddress[]
      /** The moment from which it is worth asking again; past when the answer is stale. Infinity for literals. */
      readonly expiresAtMs: number
    }
  | {
      readonly ok: false
      /** The name does not exist or has no address; or nobody could say. */
      readonly code: 'name_error' | 'resolve_failed'
      /** In Kong's words, for example `dns server error: 3 name error`. */
      readonly message: string
      readonly expiresAtMs: number
    }

export interface Resolver {
  /** Answers at once for IP literals and cached names (fresh, or stale while a refresh runs), else by a promise with a deadline. */
  resolve(name: string): Resolution | Promise<Resolution>
  close(): void
}
