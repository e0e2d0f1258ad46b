/**
 * What only one process may do at a time. No clock is compared with another: who wants a lease watches its row, and takes it over
 * when it stayed the same for as long as a lease lasts. Each holder has a fence greater than those before, and rows stay, so a
 * fence is never given twice. A holder that was paused learns at its next `renew` that it is none any more.
 */
import { CassandraFailure, type CassandraPort, type ConditionalOptions, type Table, type TableRow } from './port.ts'

export const LEASES: Table = {
  name: 'leases',
  partition: { name: 'text' },
  clustering: {},
  columns: { holder: 'text', fence: 'bigint', beat: 'bigint', renewed_at_ms: 'bigint' },
}

export interface LeaseOptions {
  readonly port: CassandraPort
  readonly name: string
  /** Unlike any other process's, also one of the same host before or after. */
  readonly holder: string
  readonly leaseMs: number
  readonly conditional: ConditionalOptions
  /** Never goes back. */
  readonly monotonicMs: () => number
  /** For people who look at the row. */
  readonly nowMs: () => number
  readonly delay: (ms: number) => Promise<unknown>
  readonly observer?: LeaseObserver
}

export interface LeaseObserver {
  /** Another process has it; told once for each. */
  waits?(other: OtherHolder): void
  takesOver?(other: OtherHolder): void
}

export interface OtherHolder {
  readonly holder: string
  /** Since it last renewed, by the two clocks. */
  readonly ageMs: number
}

export interface HeldLease {
  readonly fence: number
  /** False when it is lost: whoever held it must stop. */
  renew(): Promise<boolean>
  release(): Promise<void>
}

/** The row as it was first seen so. */
interface Watched {
  readonly holder: string
  readonly mark: string
  readonly sinceMs: number
}

/** How often a row that is waited for is looked at. */
const POLL_MS = 500
/** Attempts at a statement whose outcome stays open. */
const ATTEMPTS = 5

/** The lease, or null when another process still had it after `waitMs`. Rejects when Cassandra can't do it. */
export async function acquireLease(options: LeaseOptions, waitMs: number): Promise<HeldLease | null> {
  const { port, name, holder, leaseMs, conditional, monotonicMs, nowMs, delay, observer } = options
  const deadline = monotonicMs() + waitMs
  let watched: Watched = { holder: '', mark: '', sinceMs: 0 }
  for (;;) {
    const found = await readLease(options)
    const mine = { name, holder, fence: number(found?.['fence']) + 1, beat: 0, renewed_at_ms: nowMs() }
    if (found === undefined) {
      if (await isDone(port.insertIfAbsent(LEASES, mine, conditional))) return new Held(options, mine)
      continue
    }
    // A statement of mine whose outcome was open.
    if (found['holder'] === holder) return new Held(options, found as LeaseRow)
    const other = { holder: String(found['holder']), ageMs: nowMs() - number(found['renewed_at_ms']) }
    const mark = `${found['fence']} ${found['beat']}`
    const isFree = found['holder'] === RELEASED
    if (!isFree && watched.mark !== mark) {
      if (watched.holder !== other.holder) observer?.waits?.(other)
      watched = { holder: other.holder, mark, sinceMs: monotonicMs() }
    }
    const isOver = watched.mark === mark && monotonicMs() - watched.sinceMs >= leaseMs
    if (isFree || isOver) {
      if (!isFree) observer?.takesOver?.(other)
      const expected = { fence: found['fence'] ?? null, beat: found['beat'] ?? null, holder: found['holder'] ?? null }
      if (await isDone(port.replaceIf(LEASES, mine, expected, conditional))) return new Held(options, mine)
      continue
    }
    if (monotonicMs() >= deadline) return null
    await delay(POLL_MS)
  }
}

/** Who holds it; null when nobody does. */
export async function leaseHolder(
  options: Pick<LeaseOptions, 'port' | 'name' | 'conditional' | 'nowMs'>,
): Promise<OtherHolder | null> {
  const found = await readLease(options)
  if (found === undefined || found['holder'] === RELEASED) return null
  return { holder: String(found['holder']), ageMs: options.nowMs() - number(found['renewed_at_ms']) }
}

const RELEASED = ''

interface LeaseRow extends TableRow {
  readonly name: string
  readonly holder: string
  readonly fence: number
  readonly beat: number
  readonly renewed_at_ms: number
}

class Held implements HeldLease {
  readonly #options: LeaseOptions
  #row: LeaseRow

  constructor(options: LeaseOptions, row: LeaseRow) {
    this.#options = options
    this.#row = row
  }

  get fence(): number {
    return this.#row.fence
  }

  async renew(): Promise<boolean> {
    return await this.#replace({ ...this.#row, beat: this.#row.beat + 1, renewed_at_ms: this.#options.nowMs() })
  }

  async release(): Promise<void> {
    await this.#replace({ ...this.#row, holder: RELEASED, beat: this.#row.beat + 1 })
  }

  async #replace(next: LeaseRow): Promise<boolean> {
    const { port, conditional, delay } = this.#options
    const { holder, fence, beat } = this.#row
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await port.replaceIf(LEASES, next, { holder, fence, beat }, conditional)
        // An attempt before may have been applied although it was not told.
        const isMine =
          result.isApplied ||
          (result.row?.['fence'] === fence && result.row['beat'] === next.beat && result.row['holder'] === next.holder)
        if (isMine) this.#row = next
        return isMine
      } catch (error) {
        if (!isOpen(error) || attempt === ATTEMPTS) throw error
        await delay(POLL_MS)
      }
    }
  }
}

async function readLease({
  port,
  name,
  conditional,
}: Pick<LeaseOptions, 'port' | 'name' | 'conditional'>): Promise<TableRow | undefined> {
  const [row] = await port.select(LEASES, { partition: { name }, limit: 1, consistency: conditional.serial })
  return row
}

/** An open outcome is not done: the next look at the row shows it. */
async function isDone(result: Promise<{ readonly isApplied: boolean }>): Promise<boolean> {
  try {
    return (await result).isApplied
  } catch (error) {
    if (isOpen(error)) return false
    throw error
  }
}

/** Also when only the look at what stands there timed out: it is looked at again. */
function isOpen(error: unknown): boolean {
  return error instanceof CassandraFailure && (!error.isSettled || error.reason === 'timeout')
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
