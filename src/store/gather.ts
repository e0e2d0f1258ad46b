/**
 * How long a writer waits for company before it commits. Where a commit takes long, who was in the last group asks again when it
 * is answered: a group begun with the first of them would make all others wait for a second round trip.
 */

/** What is known when a group could begin. */
export interface Gathering {
  /** Requests that wait now. */
  queued(): number
  /** Of the last group: how many were in it, and how long its commit took. */
  readonly lastSize: number
  readonly lastMs: number
}

export interface GatherOptions {
  /** Resolves at the end of the event loop's turn, when everything that has arrived was read. */
  readonly turn: () => Promise<void>
  readonly delay: (ms: number) => Promise<void>
}

const STEP_MS = 5
/** Of the time that the last commit took: nobody came for so long, so the others do not come. Its workers have to serve it first. */
const QUIET_SHARE = 1 / 8
/** Of the same: waiting must not cost more than it saves. */
const LONGEST_SHARE = 1 / 2
const LONGEST_MS = 250

/**
 * Waits for the end of the turn; after a group of several, on until as many are there again, nobody came for an eighth of the time
 * that its commit took, or half of that time is over. A writer that is alone is never held up.
 */
export function createGather({ turn, delay }: GatherOptions): (gathering: Gathering) => Promise<void> {
  return async ({ queued, lastSize, lastMs }) => {
    await turn()
    const longestMs = Math.min(LONGEST_MS, lastMs * LONGEST_SHARE)
    const quietMs = lastMs * QUIET_SHARE
    let grewAtMs = 0
    for (let waitedMs = 0, before = queued(); before < lastSize && waitedMs + STEP_MS <= longestMs;) {
      await delay(STEP_MS)
      waitedMs += STEP_MS
      if (queued() > before) grewAtMs = waitedMs
      else if (waitedMs - grewAtMs >= quietMs) return
      before = queued()
    }
  }
}
