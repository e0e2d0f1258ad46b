/** The figures as a table, and in docs/. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Provenance } from '../support/machine.ts'
import { keepFigures, withFigures, type Measured } from '../support/recorded.ts'
import { stateLimitOf, stateLimits, type StateFigure, type StateLimit } from './limits.ts'

const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')
const JSON_FILE = path.join(DOCS, 'state.json')

export type RecordedState = Measured<StateFigure>

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
  const ordered = keepFigures(JSON_FILE, stateLimits, figures, measured)
  for (const page of new Set(figures.map(({ id }) => stateLimitOf(id).page))) {
    const file = path.join(DOCS, `${page}.md`)
    writeFileSync(file, withState(readFileSync(file, 'utf8'), page, ordered))
  }
}

/** The page with what stands between the markers replaced. */
export function withState(page: string, name: StateLimit['page'], figures: readonly RecordedState[]): string {
  const own = figures.filter(({ id }) => stateLimitOf(id).page === name)
  return withFigures(page, 'state', own, tableOf)
}
