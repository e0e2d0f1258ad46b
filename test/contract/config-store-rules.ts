/** Uniqueness, keys, references and cascades. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WithStore } from './config-store.ts'
import { commit, del, ids, insert, put, refused, W1, W2 } from './store-fixture.ts'

export function ruleTests(withStore: WithStore): void {
  uniqueTests(withStore)
  referenceTests(withStore)
  deletionTests(withStore)
}

function uniqueTests(withStore: WithStore): void {
  test(
    'refuses a second entity with a unique value, naming field and holder',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'a', name: 'same' }))
      const violation = { type: 'unique', kind: 'groups', fields: { name: 'same' }, existingId: 'a' }
      assert.deepEqual(await refused(store, put('groups', { id: 'b', name: 'same' })), violation)
      assert.deepEqual(
        await refused(store, put('groups', { id: 'b', name: 'b' }), put('groups', { id: 'b', name: 'same' })),
        violation,
      )
    }),
  )

  test(
    'does so within one transaction',
    withStore(async ({ store }) => {
      const violation = await refused(
        store,
        put('groups', { id: 'a', name: 'same' }),
        put('groups', { id: 'b', name: 'same' }),
      )
      assert.equal(violation.type, 'unique')
    }),
  )

  test(
    'lets each workspace have the same value, except where it is unique across workspaces',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'a', name: 'same' }, W1), put('groups', { id: 'b', name: 'same' }, W2))
      assert.equal((await store.lookup('groups', 'name', 'same', W2))?.document.id, 'b')

      await commit(store, put('domains', { id: 'a', name: 'a.test' }, W1))
      const violation = await refused(store, put('domains', { id: 'b', name: 'a.test' }, W2))
      assert.deepEqual(violation, { type: 'unique', kind: 'domains', fields: { name: 'a.test' }, existingId: 'a' })
      assert.equal((await store.lookup('domains', 'name', 'a.test', W2))?.document.id, 'a')
    }),
  )

  test(
    'takes no value as no value, any number of times',
    withStore(async ({ store }) => {
      await commit(
        store,
        put('groups', { id: 'a', name: null }),
        put('groups', { id: 'b', name: null }),
        put('groups', { id: 'c' }),
      )
      assert.equal(await store.lookup('groups', 'name', null, W1), undefined)
    }),
  )

  test(
    'takes values of several fields together as unique, no value included',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'g', name: 'g' }), put('links', { id: 'a', name: 'n', group: null }))
      await commit(
        store,
        put('links', { id: 'b', name: 'n', group: { id: 'g' } }),
        put('links', { id: 'c', name: 'm', group: null }),
      )
      const fields = { name: 'n', group: null }
      assert.deepEqual(await refused(store, put('links', { id: 'd', ...fields })), {
        type: 'unique',
        kind: 'links',
        fields,
        existingId: 'a',
      })
      const found = await store.lookup('links', 'cache_key', { name: 'n', group: { id: 'g' } }, W1)
      assert.equal(found?.document.id, 'b')
      assert.equal(await store.lookup('links', 'cache_key', { name: 'm', group: { id: 'g' } }, W1), undefined)
    }),
  )

  test(
    'lets two entities swap a unique value in one transaction',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'a', name: 'x' }), put('groups', { id: 'b', name: 'y' }))
      await commit(store, put('groups', { id: 'a', name: 'y' }), put('groups', { id: 'b', name: 'x' }))
      assert.equal((await store.lookup('groups', 'name', 'x', W1))?.document.id, 'b')
      assert.equal((await store.lookup('groups', 'name', 'y', W1))?.document.id, 'a')
    }),
  )

  test(
    'frees a value with the entity that had it, at once',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'a', name: 'x' }))
      await commit(store, del('groups', 'a'), put('groups', { id: 'b', name: 'x' }))
      await commit(store, put('groups', { id: 'b', name: 'y' }), put('groups', { id: 'c', name: 'x' }))
      assert.equal((await store.lookup('groups', 'name', 'x', W1))?.document.id, 'c')
      await commit(store, del('groups', 'c'))
      assert.equal(await store.lookup('groups', 'name', 'x', W1), undefined)
    }),
  )

  test(
    'tells an insert from a replacement, and moves an id to another workspace only by making it anew',
    withStore(async ({ store }) => {
      await commit(store, insert('groups', { id: 'a', name: 'a' }))
      const taken = { type: 'primary_key', kind: 'groups', id: 'a' }
      assert.deepEqual(await refused(store, insert('groups', { id: 'a', name: 'b' })), taken)
      assert.deepEqual(await refused(store, put('groups', { id: 'a', name: 'b' }, W2)), taken)
      await commit(store, del('groups', 'a', W2))
      await commit(store, del('groups', 'a', W1), insert('groups', { id: 'a', name: 'again' }))
      assert.equal((await store.get('groups', 'a'))?.document.name, 'again')
      const moved = await commit(store, del('groups', 'a', W1), insert('groups', { id: 'a', name: 'there' }, W2))
      assert.deepEqual(
        moved.effects.map(({ workspace, document }) => [workspace, document?.name]),
        [
          [W1, undefined],
          [W2, 'there'],
        ],
      )
      assert.equal((await store.get('groups', 'a'))?.workspace, W2)
      assert.equal(await store.lookup('groups', 'name', 'again', W1), undefined)
      assert.equal((await store.lookup('groups', 'name', 'there', W2))?.document.id, 'a')
    }),
  )

  test(
    'has entities of no workspace in none, whatever the operation says',
    withStore(async ({ store }) => {
      await commit(store, put('authorities', { id: 'a', name: 'n' }, W1))
      assert.equal((await store.get('authorities', 'a'))?.workspace, '')
      assert.equal((await store.lookup('authorities', 'name', 'n', W2))?.document.id, 'a')
      assert.deepEqual(await ids(store, 'authorities', { workspace: W2 }), ['a'])
      assert.equal((await refused(store, put('authorities', { id: 'b', name: 'n' }, W2))).type, 'unique')
    }),
  )
}

function referenceTests(withStore: WithStore): void {
  test(
    'refuses a reference to what is not there',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'g', name: 'g' }, W2))
      const violation = (id: string) => ({ type: 'foreign', kind: 'notes', field: 'group', reference: 'groups', id })
      assert.deepEqual(await refused(store, put('notes', { id: 'n', group: { id: 'none' } })), violation('none'))
      // Nothing refers into another workspace.
      assert.deepEqual(await refused(store, put('notes', { id: 'n', group: { id: 'g' } }, W1)), violation('g'))
      await commit(store, put('notes', { id: 'n', group: { id: 'g' } }, W2))
      await commit(store, put('notes', { id: 'm', group: null }, W1))
    }),
  )

  test(
    'judges references at the end of the transaction, so the order of operations is free',
    withStore(async ({ store }) => {
      await commit(
        store,
        put('members', { id: 'm', group: { id: 'g' }, key: 'k' }),
        put('groups', { id: 'g', name: 'g' }),
      )
      assert.equal(
        (
          await refused(
            store,
            put('notes', { id: 'n', group: { id: 'g' } }),
            del('groups', 'g'),
            put('notes', { id: 'n', group: { id: 'g' } }),
          )
        ).type,
        'foreign',
      )
    }),
  )
}

function deletionTests(withStore: WithStore): void {
  test(
    'deletes what goes with an entity, at any depth, and empties other references to it',
    withStore(async ({ store }) => {
      await commit(
        store,
        put('groups', { id: 'g', name: 'g' }),
        put('groups', { id: 'h', name: 'h' }),
        put('members', { id: 'm1', group: { id: 'g' }, key: 'k1' }),
        put('members', { id: 'm2', group: { id: 'h' }, key: 'k2' }),
        put('links', { id: 'l', name: 'l', group: { id: 'g' } }),
        put('notes', { id: 'n', group: { id: 'g' } }),
      )
      const entry = await commit(store, del('groups', 'g'))
      assert.deepEqual(
        entry.effects.map(({ kind, id, document }) => `${document ? 'put' : 'delete'} ${kind} ${id}`).sort(),
        ['delete groups g', 'delete links l', 'delete members m1', 'put notes n'],
      )
      assert.deepEqual(await ids(store, 'members'), ['m2'])
      assert.deepEqual(await ids(store, 'links'), [])
      assert.equal((await store.get('notes', 'n'))?.document.group, null)
      assert.equal(await store.lookup('members', 'key', 'k1', W1), undefined)
      assert.deepEqual(await ids(store, 'notes', { reference: { field: 'group', id: 'g' } }), [])
    }),
  )

  test(
    'deletes thousands that go with one',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'g', name: 'g' }))
      await commit(
        store,
        ...Array.from({ length: 2500 }, (_, index) =>
          put('links', { id: `l${index}`, name: `n${index}`, group: { id: 'g' } }),
        ),
      )
      const entry = await commit(store, del('groups', 'g'))
      assert.equal(entry.effects.length, 2501)
      assert.deepEqual(await ids(store, 'links'), [])
    }),
  )

  test(
    'refuses to delete what is referred to without a rule',
    withStore(async ({ store }) => {
      await commit(
        store,
        put('groups', { id: 'g', name: 'g' }),
        put('members', { id: 'm', group: { id: 'g' }, key: 'k' }),
      )
      await commit(store, put('locks', { id: 'l', member: { id: 'm' }, group: null }))
      const violation = { type: 'restrict', kind: 'members', id: 'm', referencedBy: 'locks' }
      assert.deepEqual(await refused(store, del('members', 'm')), violation)
      // Also when it would go with another.
      assert.deepEqual(await refused(store, del('groups', 'g')), violation)
    }),
  )

  test(
    'lets it go together with what refers to it, in any order',
    withStore(async ({ store }) => {
      const make = () =>
        commit(
          store,
          put('groups', { id: 'g', name: 'g' }),
          put('members', { id: 'm', group: { id: 'g' }, key: 'k' }),
          put('locks', { id: 'l', member: { id: 'm' } }),
        )
      await make()
      await commit(store, del('groups', 'g'), del('locks', 'l'))
      assert.deepEqual(await ids(store, 'members'), [])
      await make()
      await commit(store, del('groups', 'g'), put('locks', { id: 'l', member: null }))
      assert.deepEqual(await ids(store, 'locks'), ['l'])
    }),
  )

  test(
    'cascades when an entity is deleted, also when it is made again in the same transaction',
    withStore(async ({ store }) => {
      await commit(
        store,
        put('groups', { id: 'g', name: 'g' }),
        put('members', { id: 'm', group: { id: 'g' }, key: 'k' }),
      )
      await commit(
        store,
        del('groups', 'g'),
        put('groups', { id: 'g', name: 'g' }),
        put('members', { id: 'm2', group: { id: 'g' }, key: 'k' }),
      )
      assert.deepEqual(await ids(store, 'members'), ['m2'])
      assert.equal((await store.lookup('members', 'key', 'k', W1))?.document.id, 'm2')
    }),
  )

  test(
    'lets a restricted entity be deleted and made again in one transaction',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'g', name: 'g' }), put('locks', { id: 'l', group: { id: 'g' } }))
      await commit(store, del('groups', 'g'), put('groups', { id: 'g', name: 'new' }))
      assert.equal((await store.get('groups', 'g'))?.document.name, 'new')
      assert.deepEqual((await store.get('locks', 'l'))?.document.group, { id: 'g' })
    }),
  )
}
