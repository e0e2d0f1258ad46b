/** Figures with the machine that each is from, in a file of docs/: a run may measure only some, and the others stay. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { withMarked } from '../../test/support/marked-part.ts'
import { machineLine, type Provenance } from './machine.ts'

interface Named {
  readonly id: string
}

export type Measured<F> = F & { readonly measured: Provenance }

/** The row of a table of limits; what asks for one names it in the table's own words. */
export function rowOf<R extends Named>(rows: readonly R[], id: string): R {
  const row = rows.find((one) => one.id === id)
  if (!row) throw new Error(`no limit is named ${id}`)
  return row
}

/** Puts the figures into the file, and answers all that are in it then, in this order. */
export function keepFigures<F extends Named>(
  file: string,
  order: readonly Named[],
  figures: readonly F[],
  measured: Provenance,
): readonly Measured<F>[] {
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { figures: Measured<F>[] }).figures : []
  const all = new Map(kept.map((figure) => [figure.id, figure]))
  for (const figure of figures) all.set(figure.id, { ...figure, measured })
  const ordered = order.flatMap(({ id }) => all.get(id) ?? [])
  writeFileSync(file, `${JSON.stringify({ figures: ordered }, null, 2)}\n`)
  return ordered
}

/** The page with what stands between its markers replaced by the table, and by the machines that its figures are from. */
export function withFigures<F>(
  page: string,
  marker: string,
  figures: readonly Measured<F>[],
  tableOf: (figures: readonly Measured<F>[]) => string,
): string {
  const machines = new Set(figures.map(({ measured }) => machineLine(measured)))
  return withMarked(page, marker, [tableOf(figures), '', ...[...machines].map((line) => `- ${line}`)])
}
