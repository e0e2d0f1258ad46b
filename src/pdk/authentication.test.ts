import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnonymousConsumer, challenge, identifyOwner, whenFound } from './authentication.ts'
import type { Document } from './pdk.ts'
import { FakeEntities, fakeExchange, fakeTools, headersOf } from './testing.ts'

const ALICE = { id: '11111111-1111-4111-8111-000000000001', username: 'alice', custom_id: null, tags: null }
/** Named like somebody's id. */
const ODD = {
  id: '11111111-1111-4111-8111-000000000002',
  username: '99999999-9999-4999-8999-999999999999',
  custom_id: null,
}
const ROWS = { consumers: [ALICE, ODD] }
const CREDENTIAL = { id: 'credential', consumer: { id: ALICE.id } } as unknown as Document
const REFUSAL = fakeExchange().fail(401, 'no')

const anonymous = (idOrName: string | null, mode: FakeEntities['mode'] = 'sync') =>
  new AnonymousConsumer(idOrName, fakeTools({ entities: new FakeEntities(ROWS, mode) }))

test("without an anonymous consumer a request that is nobody's is refused", () => {
  assert.equal(anonymous(null).standIn(fakeExchange(), REFUSAL), REFUSAL)
})

test('the anonymous consumer is found by id, by name, and by a name that looks like an id', async () => {
  for (const mode of ['sync', 'async'] as const) {
    for (const [idOrName, id] of [
      [ALICE.id, ALICE.id],
      ['alice', ALICE.id],
      [ODD.username, ODD.id],
    ] as const) {
      const exchange = fakeExchange()
      assert.equal(await anonymous(idOrName, mode).standIn(exchange, REFUSAL), undefined)
      assert.equal(exchange.consumer?.id, id)
      assert.equal(headersOf(exchange.request.headers)['x-anonymous-consumer'], 'true')
    }
  }
})

test('who is known is spared only where there is an anonymous consumer', () => {
  const known = fakeExchange({ credential: { id: 'other' } })
  assert.equal(anonymous('alice').isSpared(known), true)
  assert.equal(anonymous('alice').isSpared(fakeExchange()), false)
  assert.equal(anonymous(null).isSpared(known), false)
})

test('the owner of a credential becomes the consumer, and one who is gone does not', async () => {
  for (const mode of ['sync', 'async'] as const) {
    const state = { entities: new FakeEntities(ROWS, mode) }
    const exchange = fakeExchange()
    assert.equal(await identifyOwner(exchange, state, CREDENTIAL, 'name', () => REFUSAL), undefined)
    assert.equal(exchange.consumer?.id, ALICE.id)
    assert.equal(headersOf(exchange.request.headers)['x-credential-identifier'], 'name')
    const orphan = { id: 'orphan', consumer: { id: 'gone' } } as unknown as Document
    assert.equal(await identifyOwner(fakeExchange(), state, orphan, 'name', () => REFUSAL), REFUSAL)
  }
})

test('goes on at once with what is there, and answers 503 when nobody can be asked', async () => {
  assert.equal(
    whenFound(fakeExchange(), 1, (found) => (found === 1 ? REFUSAL : undefined)),
    REFUSAL,
  )
  const state = { entities: new FakeEntities(ROWS, 'unavailable') }
  const exit = await identifyOwner(fakeExchange(), state, CREDENTIAL, null, () => REFUSAL)
  assert.equal(exit?.status, 503)
  await assert.rejects(
    async () => whenFound(fakeExchange(), Promise.reject(new TypeError('a bug')), () => undefined),
    /a bug/,
  )
})

test('a realm is a quoted string', () => {
  assert.equal(challenge('Basic', null), 'Basic')
  assert.equal(challenge('Basic', 'a "b" \\ c'), 'Basic realm="a \\"b\\" \\\\ c"')
})
