/**
 * What a node has on its disk: outlives the process. The copy that a process opens on it is built again from what was written, and
 * each write has moments before and after it at which the process may die.
 */
import type { LogEntry } from '#store/contract.ts'
import type { StoredRow } from '#store/digest.ts'
import type { Filling } from '#store/filling.ts'
import type { CopiedState, LocalCopy } from '#store/local-copy.ts'

interface Base {
  readonly checkpoint: CopiedState['checkpoint']
  readonly rows: readonly StoredRow[]
  readonly entries: readonly LogEntry[]
  readonly later: readonly string[]
}

interface Filled {
  readonly kind: string
  readonly rows: readonly StoredRow[]
  readonly whole: number | null
}

/** What was done to the copy after its base, in order. */
type Write = { readonly entries: readonly LogEntry[] } | { readonly filled: Filled } | 'finished'

export class Disk {
  base: Base | null = null
  writes: Write[] = []
  readonly notes = new Map<string, string>()

  clear(): void {
    this.base = null
    this.writes = []
    this.notes.clear()
  }
}

/** `moment` is awaited before and after each write. `empty` is a copy that holds nothing yet. */
export async function openCopy(disk: Disk, empty: LocalCopy, moment: () => Promise<void>): Promise<LocalCopy> {
  const { base, writes, notes } = disk
  if (base)
    await empty.replace({ checkpoint: base.checkpoint, rows: each(base.rows), entries: each(base.entries) }, base.later)
  for (const write of writes) await repeat(empty, write)
  for (const [name, value] of notes) await empty.setNote(name, value)
  return {
    head: () => empty.head(),
    get: (kind, id) => empty.get(kind, id),
    lookup: (kind, field, value, workspace) => empty.lookup(kind, field, value, workspace),
    list: (kind, filter, page) => empty.list(kind, filter, page),
    append: () => Promise.reject(new Error('a copy takes over what is decided elsewhere')),
    changes: (after, limit) => empty.changes(after, limit),
    entry: (which) => empty.entry(which),
    logStart: () => empty.logStart(),
    load: (kinds) => empty.load(kinds),
    open: (change) => empty.open(change),
    expired: (atMs, limit) => empty.expired(atMs, limit),
    truncate: (retention) => empty.truncate(retention),
    watch: (listener) => empty.watch(listener),
    close: () => empty.close(),
    prepare: (transaction, revision) => empty.prepare(transaction, revision),
    stored: () => empty.stored(),
    note: (name) => empty.note(name),
    entriesOf: (change) => empty.entriesOf(change),
    uniqueEntry: (...given) => empty.uniqueEntry(...given),
    get filling() {
      return empty.filling && recorded(empty.filling, disk, moment)
    },
    async adopt(more) {
      await moment()
      await empty.adopt(more)
      disk.writes.push({ entries: more })
      await moment()
    },
    async replace(state, later = []) {
      const rows = await all(state.rows)
      const after = await all(state.entries)
      await moment()
      const head = await empty.replace({ checkpoint: state.checkpoint, rows: each(rows), entries: each(after) }, later)
      disk.base = { checkpoint: state.checkpoint, rows, entries: after, later }
      disk.writes = []
      await moment()
      return head
    },
    async setNote(name, value) {
      await moment()
      await empty.setNote(name, value)
      disk.notes.set(name, value)
      await moment()
    },
  }
}

async function repeat(copy: LocalCopy, write: Write): Promise<void> {
  if (write === 'finished') return copy.filling?.finish()
  if ('entries' in write) return copy.adopt(write.entries)
  const { kind, rows, whole } = write.filled
  await copy.filling?.fill(kind, rows, whole)
}

function recorded(filling: Filling, disk: Disk, moment: () => Promise<void>): Filling {
  return {
    kinds: filling.kinds,
    done: filling.done,
    rows: filling.rows,
    isDone: (kind, part) => filling.isDone(kind, part),
    partial: filling.partial,
    async fill(kind, rows, whole) {
      await moment()
      await filling.fill(kind, rows, whole)
      disk.writes.push({ filled: { kind, rows, whole } })
      await moment()
    },
    async finish() {
      await moment()
      await filling.finish()
      disk.writes.push('finished')
      await moment()
    },
  }
}

async function* each<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const result: T[] = []
  for await (const item of items) result.push(item)
  return result
}
