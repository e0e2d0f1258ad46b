/** Runs the parts of a benchmark of state in Redis, prints its figures, and records them. */
import { parseArgs } from 'node:util'
import { provenance } from '../support/machine.ts'
import type { StateFigure } from './limits.ts'
import { recordState, tableOf } from './report.ts'

/** What one part found: figures that have a limit, and what is only told. */
export interface PartResult {
  readonly figures: readonly StateFigure[]
  readonly details?: object
}

export interface PartOptions {
  /** A part of the usual amount of work, from 0 to 1: small ones only show that it runs. */
  readonly scale: number
}

export type Part = (options: PartOptions) => Promise<PartResult>

/**
 *   --only latency     some of the parts
 *   --scale 0.1        a tenth of the requests: to see that it runs, not to be recorded
 *   --json             prints JSON instead of a table
 *   --record           writes docs/state.json and the tables in docs/
 *
 * Started on the second core (`npm run` does), so that nothing but the gateway is on the first.
 *
 * Exit status 1 when a limit is missed, or a part could not be measured.
 */
export async function runParts(parts: Readonly<Record<string, Part>>, comparedWith: string): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: Object.keys(parts).join(',') },
      scale: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
    },
  })
  const scale = Number(values.scale)
  if (!(scale > 0 && scale <= 1)) throw new Error(`--scale: expected a number up to 1, got ${values.scale}`)
  if (values.record && scale < 1) throw new Error('--record is for the usual amount of work, without --scale')
  const figures: StateFigure[] = []
  const details: Record<string, object> = {}
  for (const name of values.only.split(',')) {
    const part = parts[name]
    if (part === undefined)
      throw new Error(`--only: expected some of ${Object.keys(parts).join(', ')}; got ${values.only}`)
    process.stderr.write(`${name} ...\n`)
    try {
      const found = await part({ scale })
      figures.push(...found.figures)
      if (found.details !== undefined) details[name] = found.details
    } catch (error) {
      // One part that can't be measured is no reason to lose the others.
      process.stderr.write(`${name} could not be measured: ${(error as Error).stack}\n`)
      process.exitCode = 1
    }
  }
  const measured = provenance(comparedWith)
  if (values.json) process.stdout.write(`${JSON.stringify({ measured, figures, details }, null, 2)}\n`)
  else {
    if (figures.length > 0) process.stdout.write(`${tableOf(figures)}\n`)
    for (const [name, detail] of Object.entries(details))
      process.stdout.write(`${name}: ${JSON.stringify(detail, null, 2)}\n`)
  }
  if (values.record && figures.length > 0) recordState(figures, measured)
  if (figures.some(({ isHeld }) => !isHeld)) process.exitCode = 1
}
