/** The figures as a table, and in docs/. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Provenance } from '../support/machine.ts'
import { keepFigures, withFigures, type Measured } from '../support/recorded.ts'
import { convergeLimits, limitOf, type ConvergeFigure } from './limits.ts'

const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')
const JSON_FILE = path.join(DOCS, 'converge.json')
const PAGE = path.join(DOCS, 'performance.md')

export type RecordedConverge = Measured<ConvergeFigure>

export function tableOf(figures: readonly ConvergeFigure[]): string {
  const rows = figures.map(({ id, value, isHeld, details }) => {
    const { title, unit, limit, isAtLeast, kong } = limitOf(id)
    const bound = limit === null ? '-' : `${isAtLeast ? '>= ' : ''}${limit}`
    const basis = Object.entries(details).map(([name, detail]) => `${name} ${detail}`)
    return `| ${title} | ${value} ${unit} | ${bound} | ${isHeld ? 'held' : '**missed**'} | ${kong} | ${basis.join(', ')} |`
  })
  return ['| measure | measured | limit | verdict | Kong 2.8.5 | from |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  )
}

/** Puts the figures into docs/converge.json, beside those of parts that were not measured now, and renews the table. */
export function recordConverge(figures: readonly ConvergeFigure[], measured: Provenance): void {
  const ordered = keepFigures(JSON_FILE, convergeLimits, figures, measured)
  writeFileSync(PAGE, withConverge(readFileSync(PAGE, 'utf8'), ordered))
}

/** The page with what stands between the markers replaced. */
export function withConverge(page: string, figures: readonly RecordedConverge[]): string {
  return withFigures(page, 'converge', figures, tableOf)
}
