import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { limitOf, limits } from '../limits.ts'
import type { Figure } from './bench.ts'
import type { Provenance } from './machine.ts'
import { keepFigures, withFigures, type Measured } from './recorded.ts'

const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')
const JSON_FILE = path.join(DOCS, 'performance.json')
const PAGE = path.join(DOCS, 'performance.md')

/** A figure with where it was measured; kept for each row, because a run may measure only some. */
export type Recorded = Measured<Figure>

const VERDICTS = { aimed: 'aim reached', held: 'limit held', missed: '**limit missed**' }

function number(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1)
}

/** A Markdown table, rows in the order of the limits. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ id, value, verdict, details }) => {
    const { title, unit, limit, aim, isAtLeast } = limitOf(id)
    const bound = limit === null ? '-' : `${isAtLeast ? '>= ' : ''}${limit}`
    const basis = Object.entries(details)
      .filter(([, detail]) => typeof detail !== 'object')
      .map(([name, detail]) => `${name} ${typeof detail === 'number' ? number(detail) : String(detail)}`)
    const judged = limit === null ? 'reported' : aim === null && verdict === 'held' ? 'limit held' : VERDICTS[verdict]
    return `| ${title} | ${number(value)} ${unit} | ${bound} | ${aim ?? '-'} | ${judged} | ${basis.join(', ')} |`
  })
  return ['| work | measured | limit | aim | verdict | from |', '|---|---|---|---|---|---|', ...rows].join('\n')
}

/** Puts the figures into docs/performance.json and renews the table between the markers of docs/performance.md. */
export function record(figures: readonly Figure[], measured: Provenance): void {
  const ordered = keepFigures(JSON_FILE, limits, figures, measured)
  writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), ordered))
}

/** The page with what stands between the markers replaced. */
export function withTable(page: string, figures: readonly Recorded[]): string {
  return withFigures(page, 'bench', figures, tableOf)
}
