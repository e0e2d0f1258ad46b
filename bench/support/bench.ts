import type { Program } from '../../test/support/debian-part.ts'
import { limitOf, verdict, type LimitId } from '../limits.ts'

/** What every measurement gets. */
export interface Bench {
  readonly programs: Programs
  readonly rounds: number
  readonly soakMinutes: number
  /** `nginx` measures the harness itself. */
  readonly subject: 'meridian' | 'nginx'
}

export interface Programs {
  readonly nginx: Program
  readonly wrk: Program
  readonly h2load: Program
}

/** One row of the report. */
export interface Figure {
  readonly id: LimitId
  readonly value: number
  readonly verdict: ReturnType<typeof verdict>
  /** What the value was computed from. */
  readonly details: Readonly<Record<string, number | string | readonly number[]>>
}

export function figure(id: LimitId, value: number, details: Figure['details'] = {}): Figure {
  return { id, value, verdict: verdict(limitOf(id), value), details }
}
