/** What of purges goes with a response from node to node. */
export interface PurgeMoment {
  /** Revision of the configuration's log. */
  readonly log: number
  /** Number in the Redis that the response is in. */
  readonly redis: number
}

/** In which numbers mean something: of a log, and of a Redis. */
export function purgeSpace(log: { readonly epoch: number }, table: { readonly space: string }): string {
  return `${log.epoch}.${table.space}`
}

export interface SharedPurges {
  /** Whether it is known what was purged. */
  readonly isReady: boolean
  /** Finds that out; false when it can't be. Never rejects. */
  prepare(): Promise<boolean>
  /** In which the numbers mean something: responses of another one are not found. */
  readonly space: string
  readonly moment: PurgeMoment
  /** Whether what was asked for at that moment, and belongs to these names and what follows from them, was purged since. */
  isPurged(moment: PurgeMoment, names: readonly string[]): boolean
  /** Everywhere in the data center. */
  purge(name: string): void
  close(): void
}
