/** Runs schedules by their seeds, and says what those that failed need to be run again. */
import { runSchedule, type ScheduleResult } from './schedule.ts'

export interface SeedRange {
  readonly from: number
  readonly count: number
  /** No further schedule begins after so long: on a busy machine fewer are run. */
  readonly withinMs?: number
}

export interface RangeResult {
  readonly ran: number
  readonly failed: readonly Pick<ScheduleResult, 'seed' | 'violations'>[]
  readonly revisions: number
  readonly appended: number
  readonly open: number
  /** Of the schedule that took the longest to come to one state. */
  readonly rounds: number
}

/** One fault mostly shows in many seeds: a few tell enough. */
const MOST_FAILED = 5

export async function runSeeds({ from, count, withinMs = Infinity }: SeedRange): Promise<RangeResult> {
  const failed: ScheduleResult[] = []
  const endsAtMs = performance.now() + withinMs
  const sum = { ran: 0, revisions: 0, appended: 0, open: 0, rounds: 0 }
  for (let seed = from; seed < from + count && failed.length < MOST_FAILED; seed++) {
    if (performance.now() > endsAtMs) break
    const result = await runSchedule(seed)
    const { revisions, appended, open, rounds } = result.counts
    sum.ran++
    sum.revisions += revisions
    sum.appended += appended
    sum.open += open
    sum.rounds = Math.max(sum.rounds, rounds)
    if (result.violations.length > 0) failed.push(result)
  }
  return { failed: failed.map(({ seed, violations }) => ({ seed, violations })), ...sum }
}

export function explain({ seed, violations }: RangeResult['failed'][number]): string {
  return [`seed ${seed} (MERIDIAN_SIMULATION_SEED=${seed} runs it again and prints it):`, ...violations].join('\n  ')
}
