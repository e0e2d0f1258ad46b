/** What the embedded store promises beyond the contract: its files, several processes on one file, keys and rules that change. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { defineEntity, t, type EntityDefinition } from '#model/schema.ts'
import type { ConfigStore } from '#store/contract.ts'
import { createMemoryStore } from '#store/memory.ts'
import { openConnection } from '#store/sqlite-file.ts'
import { openSqliteStore, type SqliteStoreOptions } from '#store/sqlite.ts'
import {
  allRows,
  append,
  commit,
  definitions,
  del,
  groups,
  ids,
  KEYRING_TEXT,
  put,
  START_MS,
  testKeyring,
  transaction,
  W1,
} from './store-fixture.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-sqlite-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const newPath = () => path.join(folder, `${++files}.db`)
const open = (file: string, more: Partial<SqliteStoreOptions> = {}) =>
  openSqliteStore({ path: file, definitions, keyring: testKeyring(), nowMs: () => START_MS, watchEveryMs: 5, ...more })

/** Opens the stores, runs the work, and closes them whatever happens. */
async function using<T>(
  stores: readonly Promise<ConfigStore>[],
  work: (...stores: ConfigStore[]) => Promise<T>,
): Promise<T> {
  const opened = await Promise.all(stores)
  try {
    return await work(...opened)
  } finally {
    for (const store of opened) await store.close()
  }
}

test('is there again after closing and opening', async () => {
  const file = newPath()
  const [head, rows] = await using([open(file)], async (store) => {
    await commit(
      store,
      put('groups', { id: 'g', name: 'g', tags: ['t'] }),
      put('members', { id: 'm', group: { id: 'g' }, key: 'k' }),
    )
    return [await store.head(), await allRows(store)] as const
  })
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith(path.basename(file))),
    [path.basename(file)],
  )
  await using([open(file)], async (store) => {
    assert.deepEqual(await store.head(), head)
    assert.deepEqual(await allRows(store), rows)
    assert.equal((await store.lookup('members', 'key', 'k', W1))?.document.id, 'm')
    assert.deepEqual(await ids(store, 'groups', { tags: { match: 'all', values: ['t'] } }), ['g'])
    assert.equal((await commit(store, del('groups', 'g'))).revision, 2)
  })
})

test('writes no secret into any of its files, at any time, and lets only their owner read them', async () => {
  const file = newPath()
  const check = () => {
    for (const name of readdirSync(folder).filter((one) => one.startsWith(path.basename(file)))) {
      const bytes = readFileSync(path.join(folder, name))
      assert.equal(bytes.includes('s3cr3t'), false, name)
      assert.equal(statSync(path.join(folder, name)).mode & 0o077, 0, name)
    }
  }
  await using([open(file, { walPages: 5 })], async (store) => {
    await commit(store, put('groups', { id: 'g', name: 'plain' }))
    for (let index = 0; index < 20; index++) {
      await commit(
        store,
        put('members', { id: 'm', group: { id: 'g' }, key: `s3cr3t-key-${index}` }),
        put('notes', {
          id: 'n',
          login: { user: 'u', password: 's3cr3t-password' },
          codes: ['s3cr3t'],
          headers: { h: 's3cr3t' },
        }),
      )
      assert.ok(await store.lookup('members', 'key', `s3cr3t-key-${index}`, W1))
      check()
    }
    await append(store, [put('members', { id: 'm2', group: { id: 'g' }, key: 's3cr3t-key-19' })])
    assert.ok(readFileSync(file).includes('plain'))
  })
  check()
})

test('commits are synced to the disk', () => {
  const database = openConnection(newPath(), 'write')
  assert.deepEqual({ ...database.prepare('PRAGMA synchronous').get() }, { synchronous: 2 })
  database.close()
})

test('two on one file: one of two appends at a revision wins, the other is told, both see the same', async () => {
  const file = newPath()
  await using([open(file), open(file)], async (one, two) => {
    for (let revision = 0; revision < 30; revision++) {
      const results = await Promise.all(
        [one, two].map((store, index) =>
          store.append(transaction([put('groups', { id: `g${revision}-${index}`, name: `n${revision}` })]), revision),
        ),
      )
      assert.deepEqual(results.map(({ outcome }) => outcome).sort(), ['appended', 'conflict'])
      assert.deepEqual(await one.head(), await two.head())
    }
    assert.equal((await ids(one, 'groups')).length, 30)
    assert.deepEqual(await ids(one, 'groups'), await ids(two, 'groups'))
    assert.equal((await append(two, [put('groups', { id: 'x', name: 'n3' })])).outcome, 'refused')
  })
})

test('two on one file: who watches is woken by the commits of the other', async () => {
  const file = newPath()
  await using([open(file), open(file)], async (one, two) => {
    for (let revision = 1; revision <= 3; revision++) {
      const woken = new Promise<void>((resolve) => {
        const stop = two.watch(() => {
          stop()
          resolve()
        })
      })
      await commit(one, put('groups', { id: 'g', name: `n${revision}` }))
      await woken
      assert.equal((await two.head()).revision, revision)
    }
  })
})

test('two on one file: what is cut by one is cut for the other', async () => {
  const file = newPath()
  await using([open(file), open(file)], async (one, two) => {
    for (let revision = 1; revision <= 5; revision++)
      await commit(one, put('groups', { id: 'g', name: `n${revision}` }))
    const retention = { revisions: 2, ageMs: 0, nowMs: START_MS * 2 }
    assert.deepEqual(await Promise.all([one.truncate(retention), two.truncate(retention)]), [3, 3])
    await assert.rejects(two.changes(1, 10), { code: 'LOG_TRUNCATED' })
  })
})

test('a file that stays locked is busy, and nothing was done', async () => {
  const file = newPath()
  await using([open(file, { busyTimeoutMs: 60 })], async (store) => {
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    await assert.rejects(append(store, [put('groups', { id: 'g', name: 'g' })]), { code: 'STORE_BUSY' })
    assert.equal(await store.get('groups', 'g'), undefined)
    other.exec('COMMIT')
    other.close()
    await commit(store, put('groups', { id: 'g', name: 'g' }))
  })
})

test('refuses a file of another program, of another kind, and of a later version', async () => {
  const text = newPath()
  writeFileSync(text, 'this is no database, and long enough for a header of one hundred bytes '.repeat(3))
  await assert.rejects(open(text), { code: 'STORE_FORMAT', message: /of another kind/ })

  const foreign = newPath()
  const other = new DatabaseSync(foreign)
  other.exec('CREATE TABLE theirs (a)')
  other.close()
  await assert.rejects(open(foreign), { code: 'STORE_FORMAT', message: /another program/ })

  const later = newPath()
  await using([open(later)], async () => {})
  const newer = new DatabaseSync(later)
  newer.exec('PRAGMA user_version = 2')
  newer.close()
  await assert.rejects(open(later), { code: 'STORE_FORMAT', message: /format 1 or lower, got 2/ })
})

test('does not open without a key that secrets are sealed with, and names its id', async () => {
  const file = newPath()
  const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')
  const made = testKeyring(`k1:${key(1)}`)
  await using([open(file, { keyring: made })], (store) => commit(store, put('notes', { id: 'n', codes: ['c'] })))
  await assert.rejects(open(file, { keyring: testKeyring(`k2:${key(2)}`) }), { code: 'KEY_MISSING', message: /"k1"/ })
  await assert.rejects(open(file, { keyring: testKeyring(`k1:${key(3)}`) }), { code: 'KEY_WRONG', message: /"k1"/ })
  await using([open(file, { keyring: made })], async (store) =>
    assert.deepEqual((await store.get('notes', 'n'))?.document.codes, ['c']),
  )
})

test('goes on with a new key, and finds by secret whichever key looks up', async () => {
  const file = newPath()
  const second = `k2:${Buffer.alloc(32, 2).toString('base64')}`
  const make = [put('groups', { id: 'g', name: 'g' }), put('members', { id: 'm1', group: { id: 'g' }, key: 'one' })]
  await using([open(file)], (store) => commit(store, ...make))
  await using([open(file, { keyring: testKeyring(`${KEYRING_TEXT}\n${second}`) })], async (store) => {
    const entry = await commit(store, put('members', { id: 'm2', group: { id: 'g' }, key: 'two' }))
    assert.match(JSON.stringify(entry.effects), /"k2:/)
  })
  // Another oldest key: the look-up rows are made anew.
  await using([open(file, { keyring: testKeyring(`${second}\n${KEYRING_TEXT}`) })], async (store) => {
    assert.equal((await store.lookup('members', 'key', 'one', W1))?.document.id, 'm1')
    assert.equal((await store.lookup('members', 'key', 'two', W1))?.document.id, 'm2')
    assert.equal(
      (await append(store, [put('members', { id: 'm3', group: { id: 'g' }, key: 'one' })])).outcome,
      'refused',
    )
  })
  await assert.rejects(open(file), { code: 'KEY_MISSING' })
})

test('makes its look-up tables anew when a definition has other rules', async () => {
  const file = newPath()
  await using([open(file)], (store) =>
    commit(
      store,
      put('groups', { id: 'g', name: 'g', note: 'found' }),
      put('groups', { id: 'h', name: 'h', note: null }),
    ),
  )
  const changed = defineEntity({
    ...groups,
    fields: { ...groups.fields, note: t.string({ unique: true, encrypted: true }) },
  })
  const entities = new Map<string, EntityDefinition>([...definitions.entities, ['groups', changed]])
  await using([open(file, { definitions: { ...definitions, entities } })], async (store) => {
    // Stored before it was a secret: found and shown all the same.
    assert.equal((await store.lookup('groups', 'note', 'found', W1))?.document.id, 'g')
    assert.equal((await append(store, [put('groups', { id: 'i', name: 'i', note: 'found' })])).outcome, 'refused')
    assert.equal((await store.lookup('groups', 'name', 'h', W1))?.document.id, 'h')
  })
})

test('holds the same bytes as the memory store after the same transactions', async () => {
  const memory = createMemoryStore({ definitions, keyring: testKeyring(), nowMs: () => START_MS })
  await using([open(newPath())], async (sqlite) => {
    const steps = [
      [
        put('groups', { id: 'g', name: 'g', tags: ['b', 'a'] }),
        put('members', { id: 'm', group: { id: 'g' }, key: 'k', tags: null }),
      ],
      [put('notes', { id: 'n', group: { id: 'g' }, codes: ['c', '{vault://env/x}'] })],
      [del('groups', 'g')],
    ]
    for (const [index, operations] of steps.entries()) {
      const same = { ...transaction(operations), txid: `same-${index}` }
      assert.deepEqual(await memory.append(same, index), await sqlite.append(same, index))
    }
    assert.deepEqual(await memory.head(), await sqlite.head())
    assert.deepEqual(await memory.changes(0, 10), await sqlite.changes(0, 10))
  })
})

test('lets other work go on during a large append, without showing any of it before it is done', async () => {
  await using([open(newPath())], async (store) => {
    await commit(store, put('groups', { id: 'first', name: 'first' }))
    const seen = new Set<number>()
    let turns = 0
    const appending = append(
      store,
      Array.from({ length: 5000 }, (_, index) => put('groups', { id: `g${index}`, name: `n${index}` })),
    )
    const done = appending.then(() => 'done')
    while ((await Promise.race([done, nextTurn('next')])) === 'next') {
      turns++
      seen.add((await allRows(store, ['groups'])).length)
      seen.add((await store.get('groups', 'g10')) ? 5001 : 1)
    }
    assert.equal((await appending).outcome, 'appended')
    assert.ok(turns > 10, `other work had ${turns} turns`)
    assert.ok(
      [...seen].every((count) => count === 1 || count === 5001),
      [...seen].join(),
    )
  })
})
