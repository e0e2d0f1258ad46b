/** The figures as a table, and in docs/. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { withMarked } from '../../test/support/marked-part.ts'
import { machineLine, type Provenance } from '../support/machine.ts'
import { convergeLimits, limitOf, type ConvergeFigure } from './limits.ts'

const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')
const JSON_FILE = path.join(DOCS, 'converge.json')
const PAGE = path.join(DOCS, 'performance.md')

export type RecordedConverge = ConvergeFigure & { readonly measured: Provenance }

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
  const kept = existsSync(JSON_FILE)
    ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as { figures: RecordedConverge[] }).figures
    : []
  const all = new Map(kept.map((figure) => [figure.id, figure]))
  for (const figure of figures) all.set(figure.id, { ...figure, measured })
  const ordered = convergeLimits.flatMap(({ id }) => all.get(id) ?? [])
  writeFileSync(JSON_FILE, `${JSON.stringify({ figures: ordered }, null, 2)}\n`)
  writeFileSync(PAGE, withConverge(readFileSync(PAGE, 'utf8'), ordered))
}

/** The page with what stands between the markers replaced. */
export function withConverge(page: string, figures: readonly RecordedConverge[]): string {
  const machines = new Set(figures.map(({ measured }) => machineLine(measured)))
  return withMarked(page, 'converge', [tableOf(figures), '', ...[...machines].map((line) => `- ${line}`)])
}
