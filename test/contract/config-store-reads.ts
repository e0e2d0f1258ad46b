/** Reading: by id, by unique field, lists with their filters and pages, whole loads, rows that end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXPIRES_AT } from '#model/document.ts'
import type { WithStore } from './config-store.ts'
import { allRows, append, commit, del, ids, insert, kinds, put, refused, START_MS, W1, W2 } from './store-fixture.ts'

export function readTests(withStore: WithStore): void {
  test(
    'finds rows by id and by unique field',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'g', name: 'näme "quoted"', tags: null }))
      const row = {
        kind: 'groups',
        workspace: W1,
        document: { id: 'g', name: 'näme "quoted"', tags: null },
        revision: 1,
      }
      assert.deepEqual(await store.get('groups', 'g'), row)
      assert.deepEqual(await store.lookup('groups', 'name', 'näme "quoted"', W1), row)
      assert.equal(await store.lookup('groups', 'name', 'näme', W1), undefined)
      assert.equal(await store.lookup('groups', 'name', 'näme "quoted"', W2), undefined)
      await assert.rejects(store.lookup('groups', 'tags', 'x', W1), TypeError)
    }),
  )

  test(
    'lists by workspace, reference, tags and unique value, and by several of them',
    withStore(async ({ store }) => {
      await commit(
        store,
        put('groups', { id: 'a', name: 'a', tags: ['red', 'big'] }),
        put('groups', { id: 'b', name: 'b', tags: ['red'] }),
        put('groups', { id: 'c', name: 'c', tags: ['blue', 'big', 'blue'] }),
        put('groups', { id: 'd', name: 'a', tags: ['red', 'big'] }, W2),
        put('notes', { id: 'n1', group: { id: 'a' } }),
        put('notes', { id: 'n2', group: { id: 'b' } }),
        put('members', { id: 'm1', group: { id: 'a' }, key: 'k1', tags: ['x'] }),
        put('members', { id: 'm2', group: { id: 'a' }, key: 'k2', tags: ['y'] }),
      )
      const tags = (match: 'all' | 'any', ...values: string[]) => ({ tags: { match, values } })
      const group = (id: string) => ({ reference: { field: 'group', id } })
      assert.deepEqual(await ids(store, 'groups'), ['a', 'b', 'c', 'd'])
      assert.deepEqual(await ids(store, 'groups', { workspace: W1 }), ['a', 'b', 'c'])
      assert.deepEqual(await ids(store, 'groups', tags('all', 'red')), ['a', 'b', 'd'])
      assert.deepEqual(await ids(store, 'groups', tags('all', 'red', 'big')), ['a', 'd'])
      assert.deepEqual(await ids(store, 'groups', { ...tags('all', 'red', 'big'), workspace: W2 }), ['d'])
      assert.deepEqual(await ids(store, 'groups', tags('any', 'blue', 'big', 'green')), ['a', 'c', 'd'])
      assert.deepEqual(await ids(store, 'groups', tags('any')), [])
      assert.deepEqual(await ids(store, 'groups', tags('all')), ['a', 'b', 'c', 'd'])
      assert.deepEqual(await ids(store, 'groups', tags('all', 'none')), [])
      assert.deepEqual(await ids(store, 'notes', group('a')), ['n1'])
      assert.deepEqual(await ids(store, 'notes', group('none')), [])
      assert.deepEqual(await ids(store, 'members', { ...group('a'), ...tags('all', 'y') }), ['m2'])
      assert.deepEqual(await ids(store, 'members', { ...group('a'), ...tags('any', 'y', 'x') }), ['m1', 'm2'])
      assert.deepEqual(await ids(store, 'members', { ...group('b'), ...tags('all', 'y') }), [])
      assert.deepEqual(await ids(store, 'groups', { equals: { field: 'name', value: 'a' } }), ['a', 'd'])
      assert.deepEqual(await ids(store, 'groups', { equals: { field: 'name', value: 'a' }, workspace: W2 }), ['d'])
      assert.deepEqual(await ids(store, 'groups', { equals: { field: 'name', value: null } }), [])
      assert.deepEqual(await ids(store, 'members', { equals: { field: 'key', value: 'k2' }, ...group('a') }), ['m2'])
      assert.deepEqual(
        await ids(store, 'members', { equals: { field: 'key', value: 'k2' }, ...tags('any', 'x', 'z') }),
        [],
      )
    }),
  )

  test(
    'follows changed tags and references',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'a', name: 'a' }), put('groups', { id: 'b', name: 'b' }))
      await commit(store, put('members', { id: 'm', group: { id: 'a' }, key: 'k', tags: ['x', 'y'] }))
      await commit(store, put('members', { id: 'm', group: { id: 'b' }, key: 'k', tags: ['y', 'z'] }))
      const tagged = (tag: string) => ids(store, 'members', { tags: { match: 'all', values: [tag] } })
      assert.deepEqual([await tagged('x'), await tagged('y'), await tagged('z')], [[], ['m'], ['m']])
      assert.deepEqual(await ids(store, 'members', { reference: { field: 'group', id: 'a' } }), [])
      assert.deepEqual(await ids(store, 'members', { reference: { field: 'group', id: 'b' } }), ['m'])
    }),
  )

  test(
    'pages in order of id, each row that is there throughout exactly once, while others come and go',
    withStore(async ({ store }) => {
      const id = (index: number) => `g${String(index).padStart(3, '0')}`
      const group = (index: number) => put('groups', { id: id(index), name: id(index), tags: ['all'] })
      // Even ones stay, odd ones come and go.
      await commit(store, ...Array.from({ length: 100 }, (_, index) => group(index)))
      for (const filter of [
        {},
        { workspace: W1 },
        { tags: { match: 'all', values: ['all'] } },
        { tags: { match: 'any', values: ['all', 'x'] } },
      ] as const) {
        const seen: string[] = []
        let offset: string | undefined
        let round = 0
        do {
          const page = await store.list('groups', filter, { size: 7, ...(offset === undefined ? {} : { offset }) })
          assert.ok(page.rows.length <= 7)
          seen.push(...page.rows.map((row) => row.document.id))
          offset = page.offset
          const odd = Array.from({ length: 10 }, (_, index) => (round * 22 + index * 2 + 1) % 100)
          await commit(store, ...odd.map((index) => (round % 2 === 0 ? del('groups', id(index)) : group(index))))
          round++
        } while (offset !== undefined)
        assert.deepEqual(seen, [...new Set(seen)].sort())
        const even = Array.from({ length: 50 }, (_, index) => id(index * 2))
        assert.deepEqual(
          seen.filter((one) => even.includes(one)),
          even,
        )
      }
    }),
  )

  test(
    'ends a list with the last full page, and gives no offset there',
    withStore(async ({ store }) => {
      await commit(store, ...['a', 'b', 'c', 'd'].map((id) => put('groups', { id, name: id })))
      const first = await store.list('groups', {}, { size: 2 })
      const second = await store.list('groups', {}, { size: 2, offset: first.offset as string })
      assert.deepEqual(
        second.rows.map((row) => row.document.id),
        ['c', 'd'],
      )
      assert.equal(second.offset, undefined)
    }),
  )

  test(
    'fails with INVALID_OFFSET for an offset that it did not give',
    withStore(async ({ store }) => {
      for (const offset of [
        '',
        'x',
        'WzFd',
        Buffer.from('{}').toString('base64'),
        Buffer.from('["a","b"]').toString('base64'),
      ]) {
        await assert.rejects(store.list('groups', {}, { size: 2, offset }), { code: 'INVALID_OFFSET' }, offset)
      }
    }),
  )

  test(
    'loads one state, whatever is appended while it is read',
    withStore(async ({ store }) => {
      const groups = Array.from({ length: 1200 }, (_, index) => put('groups', { id: `g${index}`, name: `n${index}` }))
      await commit(
        store,
        ...groups,
        put('notes', { id: 'n', group: { id: 'g0' } }),
        put('authorities', { id: 'x', name: 'x' }),
      )
      const { head, rows } = await store.load(['groups', 'notes'])
      const found: string[] = []
      for await (const row of rows) {
        if (found.length === 5)
          await commit(
            store,
            del('groups', 'g0'),
            put('groups', { id: 'g00', name: 'late' }),
            put('notes', { id: 'late' }),
          )
        found.push(`${row.kind} ${row.document.id} ${row.revision}`)
      }
      assert.equal(head.revision, 1)
      assert.deepEqual(found.sort(), [...groups.map((_, index) => `groups g${index} 1`), 'notes n 1'].sort())
      assert.equal((await store.load([])).head.revision, 2)
    }),
  )

  test(
    'lets a load be given up',
    withStore(async ({ store }) => {
      await commit(store, ...Array.from({ length: 10 }, (_, index) => put('groups', { id: `g${index}`, name: null })))
      for await (const row of (await store.load(['groups'])).rows) if (row.document.id === 'g3') break
      await store.load(['groups'])
      await commit(store, put('groups', { id: 'x', name: 'x' }))
    }),
  )

  expiryTests(withStore)
}

function expiryTests(withStore: WithStore): void {
  const seconds = START_MS / 1000
  const member = (id: string, key: string, endsInS: number | null) =>
    put('members', {
      id,
      group: { id: 'g' },
      key,
      tags: ['t'],
      [EXPIRES_AT]: endsInS === null ? null : seconds + endsInS,
    })

  test(
    'no longer shows a row from the moment at which it ends',
    withStore(async ({ store, clock }) => {
      await commit(
        store,
        put('groups', { id: 'g', name: 'g' }),
        member('m1', 'k1', 10),
        member('m2', 'k2', 20),
        member('m3', 'k3', null),
      )
      const shown = async () => [
        (await store.get('members', 'm1'))?.document.id,
        (await store.lookup('members', 'key', 'k1', W1))?.document.id,
        (await ids(store, 'members')).join(),
        (await ids(store, 'members', { reference: { field: 'group', id: 'g' } })).join(),
        (await ids(store, 'members', { tags: { match: 'all', values: ['t'] } })).join(),
        (await ids(store, 'members', { equals: { field: 'key', value: 'k1' } })).join(),
        (await allRows(store, ['members'])).map((row) => row.document.id).join(),
      ]
      clock.nowMs = START_MS + 9_999
      assert.deepEqual(await shown(), ['m1', 'm1', 'm1,m2,m3', 'm1,m2,m3', 'm1,m2,m3', 'm1', 'm1,m2,m3'])
      clock.nowMs = START_MS + 10_000
      assert.deepEqual(await shown(), [undefined, undefined, 'm2,m3', 'm2,m3', 'm2,m3', '', 'm2,m3'])
    }),
  )

  test(
    'names the rows that have ended, and deletes them when it is told',
    withStore(async ({ store, clock }) => {
      await commit(
        store,
        put('groups', { id: 'g', name: 'g' }),
        member('m1', 'k1', 10),
        member('m2', 'k2', 20),
        member('m3', 'k3', null),
      )
      clock.nowMs = START_MS + 15_000
      assert.deepEqual(await store.expired(clock.nowMs, 10), [{ kind: 'members', workspace: W1, id: 'm1' }])
      assert.equal((await store.expired(START_MS + 99_000, 1)).length, 1)
      const result = await append(store, [del('members', 'm1')], { atMs: clock.nowMs })
      assert.partialDeepStrictEqual(result, { entry: { effects: [{ id: 'm1', document: null }] } })
      assert.deepEqual(await store.expired(clock.nowMs, 10), [])
    }),
  )

  test(
    'gives id and unique values of a row that has ended to others, and lets nothing refer to it',
    withStore(async ({ store, clock }) => {
      await commit(store, put('groups', { id: 'g', name: 'g' }), member('m1', 'k1', 10), member('m2', 'k2', 10))
      assert.equal((await refused(store, member('m9', 'k1', null))).type, 'unique')
      clock.nowMs = START_MS + 10_000
      const later = { atMs: clock.nowMs }
      const lock = put('locks', { id: 'l', member: { id: 'm1' } })
      assert.partialDeepStrictEqual(await append(store, [lock], later), {
        outcome: 'refused',
        violation: { type: 'foreign' },
      })
      const result = await append(
        store,
        [member('m9', 'k1', null), insert('members', { id: 'm2', group: { id: 'g' }, key: 'new' })],
        later,
      )
      assert.equal(result.outcome, 'appended')
      assert.deepEqual(await ids(store, 'members'), ['m2', 'm9'])
      assert.equal((await store.lookup('members', 'key', 'k1', W1))?.document.id, 'm9')
      assert.deepEqual(await store.expired(START_MS + 99_000, 10), [])
      assert.equal((await allRows(store, kinds)).length, 3)
    }),
  )
}
