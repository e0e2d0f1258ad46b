/** Secrets: sealed in the log, open in documents, found without being shown. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WithStore } from './config-store.ts'
import { commit, put, W1 } from './store-fixture.ts'

export function secretTests(withStore: WithStore): void {
  const login = { user: 'ann', password: 'hunter2-secret' }
  const note = {
    id: 'n',
    group: null,
    login,
    codes: ['code-secret', '{vault://env/code}'],
    headers: { a: 'header-secret' },
  }

  test(
    'seals secrets at any depth in the log, and opens them in documents',
    withStore(async ({ store }) => {
      const made = [
        put('groups', { id: 'g', name: 'g' }),
        put('members', { id: 'm', group: { id: 'g' }, key: 'key-secret' }),
      ]
      const entry = await commit(store, ...made, put('notes', note))
      assert.doesNotMatch(JSON.stringify(await store.changes(0, 10)), /secret/)
      assert.match(JSON.stringify(entry), /\{vault:\/\/env\/code\}/)
      assert.match(JSON.stringify(entry), /"user":"ann"/)
      assert.deepEqual((await store.get('notes', 'n'))?.document, note)
      assert.deepEqual(entry.effects.map((effect) => store.open(effect).document)[2], note)
    }),
  )

  test(
    'does not show in the log whether two secrets are the same',
    withStore(async ({ store }) => {
      const entry = await commit(store, put('notes', note), put('notes', { ...note, id: 'o' }))
      const [first, second] = entry.effects.map((effect) => JSON.stringify(effect.document?.codes))
      assert.notEqual(first, second)
    }),
  )

  test(
    'finds a row by a secret, and keeps it unique',
    withStore(async ({ store }) => {
      await commit(
        store,
        put('groups', { id: 'g', name: 'g' }),
        put('members', { id: 'm', group: { id: 'g' }, key: 'key-secret' }),
      )
      assert.equal((await store.lookup('members', 'key', 'key-secret', W1))?.document.key, 'key-secret')
      assert.equal(await store.lookup('members', 'key', 'key-secreT', W1), undefined)
      await commit(store, put('members', { id: 'm', group: { id: 'g' }, key: 'other-secret' }))
      assert.equal(await store.lookup('members', 'key', 'key-secret', W1), undefined)
      assert.equal((await store.lookup('members', 'key', 'other-secret', W1))?.document.id, 'm')
    }),
  )

  test(
    'opens a sealed value only where it was sealed',
    withStore(async ({ store }) => {
      const entry = await commit(store, put('notes', note))
      const [effect] = entry.effects
      assert.ok(effect?.document)
      const moved = { ...effect, id: 'x', document: { ...effect.document, id: 'x' } }
      assert.throws(() => store.open(moved), { code: 'KEY_WRONG' })
      const { codes, headers } = effect.document as unknown as { codes: string[]; headers: Record<string, string> }
      assert.throws(
        () => store.open({ ...effect, document: { ...effect.document, id: 'n', headers: { a: codes[0] } } }),
        { code: 'KEY_WRONG' },
      )
      assert.deepEqual(store.open({ ...effect, document: { id: 'n', headers } }).document, {
        id: 'n',
        headers: { a: 'header-secret' },
      })
    }),
  )

  test(
    'takes no part of a document for sealed that is not a secret',
    withStore(async ({ store }) => {
      const document = { id: 'g', name: '{"$sealed":"k1:AAAA"}', note: 'k1:AAAA', tags: null }
      await commit(store, put('groups', document))
      assert.deepEqual((await store.get('groups', 'g'))?.document, document)
    }),
  )
}
