/** The figures as a table, and in docs/. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { withMarked } from '../../test/support/marked-part.ts'
import { machineLine, type Provenance } from '../support/machine.ts'
import { stateLimitOf, stateLimits, type StateFigure, type StateLimit } from './limits.ts'

const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')
const JSON_FILE = path.join(DOCS, 'state.json')

export type RecordedState = StateFigure & { readonly measured: Provenance }

export function tableOf(figures: readonly StateFigure[]): string {
  const rows = figures.map(({ id, value, isHeld, details }) => {
    const { title, unit, limit } = stateLimitOf(id)
    const basis = Object.entries(details).map(([name, detail]) => `${name} ${detail}`)
    return `| ${title} | ${value} ${unit} | ${limit} | ${isHeld ? 'held' : '**missed**'} | ${basis.join(', ')} |`
  })
  return ['| measure | measured | limit | verdict | from |', '|---|---|---|---|---|', ...rows].join('\n')
}

/** Puts the figures into docs/state.json, beside those that were not measured now, and renews the tables of the pages they are on. */
export function recordState(figures: readonly StateFigure[], measured: Provenance): void {
  const kept = existsSync(JSON_FILE)
    ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as { figures: RecordedState[] }).figures
    : []
  const all = new Map(kept.map((figure) => [figure.id, figure]))
  for (const figure of figures) all.set(figure.id, { ...figure, measured })
  const ordered = stateLimits.flatMap(({ id }) => all.get(id) ?? [])
  writeFileSync(JSON_FILE, `${JSON.stringify({ figures: ordered }, null, 2)}\n`)
  for (const page of new Set(figures.map(({ id }) => stateLimitOf(id).page))) {
    const file = path.join(DOCS, `${page}.md`)
    writeFileSync(file, withState(readFileSync(file, 'utf8'), page, ordered))
  }
}

/** The page with what stands between the markers replaced. */
export function withState(page: string, name: StateLimit['page'], figures: readonly RecordedState[]): string {
  const own = figures.filter(({ id }) => stateLimitOf(id).page === name)
  const machines = new Set(own.map(({ measured }) => machineLine(measured)))
  return withMarked(page, 'state', [tableOf(own), '', ...[...machines].map((line) => `- ${line}`)])
}
