/** Declarative configurations over a store: loading one as the changes that lead to it, and writing the state as one. */
import type { Model } from '#model/contract.ts'
import { diffDeclarative } from '#model/declarative/diff.ts'
import { dumpYaml } from '#model/declarative/dump.ts'
import { flattenErrors } from '#model/declarative/flatten.ts'
import { loadDeclarative } from '#model/declarative/load.ts'
import { DEFAULT_WORKSPACE, type Row } from '#model/document.ts'
import type { StateReader } from '#store/contract.ts'
import type { Declarative } from './config.ts'
import { everyRow } from './ports.ts'

export interface DeclarativeParts {
  readonly model: Model
  readonly nowMs: () => number
}

export function createDeclarative({ model, nowMs }: DeclarativeParts): Declarative {
  return {
    load: async (source, state, { check, flattensErrors, file }) => {
      const rows = await rowsOf(model, state)
      const byId = new Map(rows.map((row) => [keyOf(row.kind, row.document.id), row.document]))
      const loaded = loadDeclarative(
        { ...source, ...(file === undefined ? {} : { file }) },
        { model, context: check, current: (kind, id) => byId.get(keyOf(kind, id)) },
      )
      if (loaded.ok) return { ok: true, operations: diffDeclarative(rows, loaded.entries, model) }
      return { ok: false, problems: loaded.problems, refusal: flattensErrors ? flattenErrors(loaded) : loaded.refusal }
    },
    dump: async (state) => dumpYaml(await rowsOf(model, state), { model, nowMs: nowMs() }),
  }
}

/** Everything but the workspace that is there from the start: no file needs to name it. */
async function rowsOf(model: Model, state: StateReader): Promise<Row[]> {
  const rows: Row[] = []
  for (const kind of model.entities.keys()) {
    for await (const row of everyRow(state, kind, {})) if (row.document.id !== DEFAULT_WORKSPACE) rows.push(row)
  }
  return rows
}

function keyOf(kind: string, id: string): string {
  return `${kind} ${id}`
}
