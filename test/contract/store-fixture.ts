/** What the suites of the stores build with: small entities that have every rule a definition can state, and short ways to write. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Document, Row } from '#model/document.ts'
import { defineEntity, t, type EntityDefinition } from '#model/schema.ts'
import type { AppendResult, ConfigStore, LogEntry, Operation, Transaction } from '#store/contract.ts'
import { parseKeyring, type Keyring } from '#store/keyring.ts'
import type { Definitions } from '#store/secrets.ts'

export const groups = defineEntity({
  kind: 'groups',
  about: 'Named, tagged, referred to.',
  workspaceable: true,
  fields: { id: t.uuid(), name: t.string({ unique: true }), note: t.string(), tags: t.tags() },
})
export const members = defineEntity({
  kind: 'members',
  about: 'Goes with its group; has a secret that it is found by, and may end.',
  workspaceable: true,
  ttl: true,
  fields: {
    id: t.uuid(),
    group: t.foreign('groups', { required: true, on_delete: 'cascade' }),
    key: t.string({ unique: true, encrypted: true }),
    tags: t.tags(),
  },
})
export const notes = defineEntity({
  kind: 'notes',
  about: 'Outlives its group; has secrets at any depth.',
  workspaceable: true,
  fields: {
    id: t.uuid(),
    group: t.foreign('groups', { on_delete: 'null' }),
    login: t.record({ user: t.string(), password: t.string({ encrypted: true }) }),
    codes: t.array(t.string({ encrypted: true })),
    headers: t.map(t.string(), t.string({ encrypted: true })),
  },
})
export const locks = defineEntity({
  kind: 'locks',
  about: 'Keeps its member, and its group, from being deleted.',
  workspaceable: true,
  fields: { id: t.uuid(), member: t.foreign('members'), group: t.foreign('groups') },
})
export const links = defineEntity({
  kind: 'links',
  about: 'One per name and group, also without group.',
  workspaceable: true,
  cache_key: ['name', 'group'],
  fields: { id: t.uuid(), name: t.string({ required: true }), group: t.foreign('groups', { on_delete: 'cascade' }) },
})
export const domains = defineEntity({
  kind: 'domains',
  about: 'Named across workspaces.',
  workspaceable: true,
  fields: { id: t.uuid(), name: t.string({ unique: true, unique_across_ws: true }) },
})
export const authorities = defineEntity({
  kind: 'authorities',
  about: 'In no workspace.',
  fields: { id: t.uuid(), name: t.string({ unique: true }) },
})

export const definitions: Definitions = {
  entities: new Map<string, EntityDefinition>(
    [groups, members, notes, locks, links, domains, authorities].map((definition) => [definition.kind, definition]),
  ),
  plugins: new Map(),
  vaults: new Map(),
}
export const kinds = [...definitions.entities.keys()]

/** Random bytes that come out the same in each run: two stores that do the same then hold the same bytes. */
export function repeatableBytes(seed: string): (size: number) => Buffer {
  let count = 0
  return (size) => {
    const blocks: Buffer[] = []
    for (let bytes = 0; bytes < size; bytes += 32) {
      blocks.push(createHash('sha256').update(`${seed}:${count++}`).digest())
    }
    return Buffer.concat(blocks).subarray(0, size)
  }
}

export const KEYRING_TEXT = `k1:${Buffer.alloc(32, 7).toString('base64')}`
export function testKeyring(text = KEYRING_TEXT): Keyring {
  return parseKeyring(text, repeatableBytes('nonces'))
}

export const W1 = 'workspace-1'
export const W2 = 'workspace-2'
export const START_MS = 1_700_000_000_000

export function put(kind: string, document: Document, workspace = W1): Operation {
  return { op: 'put', kind, workspace, document }
}
export function insert(kind: string, document: Document, workspace = W1): Operation {
  return { op: 'put', kind, workspace, document, insert: true }
}
export function del(kind: string, id: string, workspace = W1): Operation {
  return { op: 'delete', kind, workspace, id }
}

let transactions = 0
export function transaction(operations: readonly Operation[], more: Partial<Transaction> = {}): Transaction {
  return { txid: `tx-${++transactions}`, operations, origin: { actor: 'tester', via: 'test' }, atMs: START_MS, ...more }
}

/** Appends at the head. */
export async function append(
  store: ConfigStore,
  operations: readonly Operation[],
  more: Partial<Transaction> = {},
): Promise<AppendResult> {
  return store.append(transaction(operations, more), (await store.head()).revision)
}

/** Appends at the head what has to be accepted. */
export async function commit(store: ConfigStore, ...operations: readonly Operation[]): Promise<LogEntry> {
  const result = await append(store, operations)
  assert.equal(result.outcome, 'appended', JSON.stringify(result))
  return result.entry
}

/** Appends at the head what has to be refused, and gives the reason. */
export async function refused(store: ConfigStore, ...operations: readonly Operation[]) {
  const before = await store.head()
  const result = await append(store, operations)
  assert.equal(result.outcome, 'refused', JSON.stringify(result))
  assert.deepEqual(await store.head(), before)
  return result.violation
}

export async function allRows(store: ConfigStore, of: readonly string[] = kinds): Promise<readonly Row[]> {
  const rows: Row[] = []
  for await (const row of (await store.load(of)).rows) rows.push(row)
  return rows
}

export async function ids(
  store: ConfigStore,
  kind: string,
  ...[filter = {}, size = 1000]: [Parameters<ConfigStore['list']>[1]?, number?]
) {
  const page = await store.list(kind, filter, { size })
  return page.rows.map((row) => row.document.id)
}
