import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { withMarked } from '../../test/support/marked-part.ts'
import { limitOf, limits } from '../limits.ts'
import type { Figure } from './bench.ts'
import { machineLine, type Provenance } from './machine.ts'

const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')
const JSON_FILE = path.join(DOCS, 'performance.json')
const PAGE = path.join(DOCS, 'performance.md')

/** A figure with where it was measured; kept for each row, because a run may measure only some. */
export type Recorded = Figure & { readonly measured: Provenance }

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
  const kept = existsSync(JSON_FILE)
    ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as { figures: Recorded[] }).figures
    : []
  const all = new Map(kept.map((figure) => [figure.id, figure]))
  for (const figure of figures) all.set(figure.id, { ...figure, measured })
  const ordered = limits.flatMap(({ id }) => all.get(id) ?? [])
  writeFileSync(JSON_FILE, `${JSON.stringify({ figures: ordered }, null, 2)}\n`)
  writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), ordered))
}

/** The page with what stands between the markers replaced. */
export function withTable(page: string, figures: readonly Recorded[]): string {
  const machines = new Set(figures.map(({ measured }) => machineLine(measured)))
  return withMarked(page, 'bench', [tableOf(figures), '', ...[...machines].map((line) => `- ${line}`)])
}
