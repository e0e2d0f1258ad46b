import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXPIRES_AT, type Exit } from '#pdk'
import {
  FakeEntities,
  fakeExchange,
  headersOf,
  prepare,
  sentBody,
  type FakeBody,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { keyAuth } from './plugin.ts'

const ALICE = { id: '11111111-1111-4111-8111-000000000001', username: 'alice', custom_id: 'alice-custom', tags: null }
const NOBODY = { id: '11111111-1111-4111-8111-00000000000a', username: 'anonymous-user', custom_id: null, tags: null }
const CREDENTIAL = { id: '22222222-2222-4222-8222-000000000001', key: 'alice-key', consumer: { id: ALICE.id } }
const ROWS = {
  consumers: [ALICE, NOBODY],
  keyauth_credentials: [
    CREDENTIAL,
    { ...CREDENTIAL, id: 'unicode', key: 'schlüssel' },
    { ...CREDENTIAL, id: 'expired', key: 'expired-key', [EXPIRES_AT]: Date.parse('2030-01-01T00:00:00Z') / 1000 },
    { ...CREDENTIAL, id: 'living', key: 'living-key', [EXPIRES_AT]: Date.parse('2030-01-01T00:00:01Z') / 1000 },
    { ...CREDENTIAL, id: 'orphan', key: 'orphan-key', consumer: { id: 'gone' } },
  ],
}

async function run(config: object, request: FakeExchangeOptions, mode: FakeEntities['mode'] = 'sync') {
  const exchange = fakeExchange(request)
  const exit =
    (await keyAuth.access!(exchange, prepare(keyAuth, config, { entities: new FakeEntities(ROWS, mode) }))) ?? null
  return { exchange, exit, sent: headersOf(exchange.request.headers) }
}

function assertRefused(exit: Exit | null, message: string, challenge = 'Key'): void {
  assert.ok(exit !== null, 'the request passed')
  assert.deepEqual([exit.status, exit.message, exit.headers], [401, message, [['WWW-Authenticate', challenge]]])
}

test('lets a known key pass and tells the upstream who it is', async () => {
  const { exchange, exit, sent } = await run({}, { headers: { apikey: 'alice-key' } })
  assert.equal(exit, null)
  assert.deepEqual(sent, {
    apikey: 'alice-key',
    'x-consumer-id': ALICE.id,
    'x-consumer-custom-id': 'alice-custom',
    'x-consumer-username': 'alice',
    'x-credential-identifier': CREDENTIAL.id,
  })
  assert.equal(exchange.consumer, ALICE)
  assert.equal(exchange.credential?.id, CREDENTIAL.id)
})

test('awaits nothing when what it looks up is in the cache', () => {
  const state = prepare(keyAuth, {}, { entities: new FakeEntities(ROWS) })
  assert.equal(keyAuth.access!(fakeExchange({ headers: { apikey: 'alice-key' } }), state), undefined)
})

test('waits for what has to be looked up', async () => {
  const { exchange, exit } = await run({}, { headers: { apikey: 'alice-key' } }, 'async')
  assert.equal(exit, null)
  assert.equal(exchange.consumer?.username, 'alice')
  assertRefused((await run({}, { headers: { apikey: 'nope' } }, 'async')).exit, 'Unauthorized')
})

test('answers 503, never 401, when the store can not be asked', async () => {
  for (const config of [{}, { anonymous: NOBODY.id }]) {
    const { exit, exchange } = await run(config, { headers: { apikey: 'alice-key' } }, 'unavailable')
    assert.partialDeepStrictEqual(exit, { status: 503, headers: [['Retry-After', '5']] })
    assert.equal(exchange.consumer, null)
  }
  assert.partialDeepStrictEqual((await run({ anonymous: 'anonymous-user' }, {}, 'unavailable')).exit, { status: 503 })
})

test('a failure that is not the store stays a failure', async () => {
  const entities = new FakeEntities(ROWS)
  entities.lookup = () => Promise.reject(new TypeError('a bug'))
  const state = prepare(keyAuth, {}, { entities })
  await assert.rejects(async () => keyAuth.access!(fakeExchange({ headers: { apikey: 'a' } }), state), /a bug/)
})

test('refuses requests without a key, with an empty one or with an unknown one', async () => {
  assertRefused((await run({}, {})).exit, 'No API key found in request')
  assertRefused((await run({}, { headers: { apikey: '' } })).exit, 'No API key found in request')
  assertRefused((await run({}, { headers: { apikey: 'nope' } })).exit, 'Unauthorized')
  assertRefused((await run({}, { path: '/?apikey' })).exit, 'No API key found in request')
})

test('an empty header is not made up for by a key in the query', async () => {
  assertRefused(
    (await run({}, { headers: { apikey: '' }, path: '/?apikey=alice-key' })).exit,
    'No API key found in request',
  )
})

test('names the realm, quoted', async () => {
  assertRefused((await run({ realm: 'my "own"' }, {})).exit, 'No API key found in request', 'Key realm="my \\"own\\""')
})

test('refuses a key that comes twice', async () => {
  const twice = [
    ['apikey', 'alice-key'],
    ['ApiKey', 'alice-key'],
  ] as const
  assertRefused((await run({}, { headers: twice })).exit, 'Duplicate API key found')
  assertRefused((await run({}, { path: '/?apikey=alice-key&apikey=alice-key' })).exit, 'Duplicate API key found')
})

test('refuses a key that has expired, also when it is still cached', async () => {
  assertRefused((await run({}, { headers: { apikey: 'expired-key' } })).exit, 'Unauthorized')
  assert.equal((await run({}, { headers: { apikey: 'living-key' } })).exit, null)
})

test('refuses a key whose consumer is gone', async () => {
  assertRefused((await run({}, { headers: { apikey: 'orphan-key' } })).exit, 'Unauthorized')
})

test('reads the query by decoded names and values, and keys beyond ASCII', async () => {
  assert.equal((await run({}, { path: '/?a=1&api%6Bey=alice%2Dkey' })).exit, null)
  assert.equal((await run({}, { path: '/?apikey=schl%C3%BCssel' })).exit, null)
  assert.equal((await run({}, { headers: { apikey: 'schlüssel' } })).exit, null)
})

test('looks only where it is told to', async () => {
  assertRefused(
    (await run({ key_in_query: false }, { path: '/?apikey=alice-key' })).exit,
    'No API key found in request',
  )
  assertRefused(
    (await run({ key_in_header: false }, { headers: { apikey: 'alice-key' } })).exit,
    'No API key found in request',
  )
  assertRefused((await run({}, { body: { apikey: 'alice-key' } })).exit, 'No API key found in request')
})

test('takes the first of several names that has a key, and a dash in a header for an underscore', async () => {
  const config = { key_names: ['x-first', 'second_key'] }
  assert.equal((await run(config, { path: '/?second_key=alice-key' })).exit, null)
  assert.equal((await run(config, { headers: { 'Second-Key': 'alice-key' } })).exit, null)
  assertRefused((await run(config, { headers: { 'x-first': 'nope', second_key: 'alice-key' } })).exit, 'Unauthorized')
})

const FORM = 'application/x-www-form-urlencoded'
const MULTIPART = 'multipart/form-data; boundary=bb'
const part = (name: string, text: string) => `--bb\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`

const BODIES: readonly (readonly [name: string, type: string, body: string, hidden: string])[] = [
  ['a form', FORM, 'b=2&apikey=alice-key&a=%7E', 'b=2&a=~'],
  ['JSON', 'application/json; charset=utf-8', '{"a": 1.0,"apikey":"alice-key"}', '{"a":1.0}'],
  [
    'a multipart form',
    MULTIPART,
    `${part('k', 'v')}${part('apikey', 'alice-key')}--bb--\r\n`,
    `${part('k', 'v')}--bb--\r\n`,
  ],
]
for (const [name, type, body, hidden] of BODIES) {
  test(`finds the key in ${name}, and hides it there when told to`, async () => {
    const request = { method: 'POST', headers: { 'Content-Type': type }, body }
    const found = await run({ key_in_body: true }, request)
    assert.equal(found.exit, null)
    assert.equal((found.exchange.request.body as FakeBody).isReplaced, false)
    const { exit, exchange } = await run({ key_in_body: true, hide_credentials: true }, request)
    assert.equal(exit, null)
    assert.equal(sentBody(exchange), hidden)
  })
}

const KEYLESS: readonly (readonly [name: string, type: string, body: string, message: string])[] = [
  ['a body of another type', 'text/plain', 'apikey=alice-key', 'No API key found in request'],
  ['JSON that is none', 'application/json', '{"apikey":"alice-key"', 'No API key found in request'],
  ['a number in JSON', 'application/json', '{"apikey":1}', 'No API key found in request'],
  ['a list in JSON', 'application/json', '{"apikey":["alice-key"]}', 'Duplicate API key found'],
  ['two fields of a form', FORM, 'apikey=alice-key&apikey=x', 'Duplicate API key found'],
  ['two parts', MULTIPART, `${part('apikey', 'alice-key')}${part('apikey', 'x')}--bb--\r\n`, 'Duplicate API key found'],
  ['a field without value', FORM, 'apikey', 'No API key found in request'],
  ['a body over the limit', FORM, `apikey=alice-key&x=${'x'.repeat(1 << 20)}`, 'No API key found in request'],
]
for (const [name, type, body, message] of KEYLESS) {
  test(`finds no key in ${name}`, async () => {
    assertRefused(
      (await run({ key_in_body: true }, { method: 'POST', headers: { 'Content-Type': type }, body })).exit,
      message,
    )
  })
}

test('hides the key from the upstream and leaves the rest of the query as it came', async () => {
  const { exchange, sent } = await run(
    { hide_credentials: true },
    { headers: { apikey: 'alice-key', 'x-stay': '1' }, path: '/?b=%7e&apikey=x&a=1' },
  )
  assert.equal(sent['apikey'], undefined)
  assert.equal(sent['x-stay'], '1')
  assert.equal(exchange.request.query, 'b=%7e&a=1')
  assert.equal((await run({ hide_credentials: true }, { path: '/?apikey=alice-key' })).exchange.request.query, null)
})

test('with an anonymous consumer, by id or by name, whoever fails is that consumer', async () => {
  for (const anonymous of [NOBODY.id, 'anonymous-user']) {
    for (const mode of ['sync', 'async'] as const) {
      for (const request of [{}, { headers: { apikey: 'nope' } }, { path: '/?apikey=1&apikey=2' }]) {
        const { exchange, exit, sent } = await run({ anonymous }, request, mode)
        assert.equal(exit, null)
        assert.equal(exchange.consumer?.id, NOBODY.id)
        assert.equal(exchange.credential, null)
        assert.equal(sent['x-anonymous-consumer'], 'true')
        assert.equal(sent['x-consumer-username'], 'anonymous-user')
        assert.equal(sent['x-consumer-custom-id'], undefined)
      }
    }
  }
})

test('with an anonymous consumer, somebody who is already known stays so', async () => {
  const { exchange, sent } = await run({ anonymous: NOBODY.id }, { consumer: ALICE, credential: { id: 'other' } })
  assert.equal(exchange.consumer, ALICE)
  assert.deepEqual(sent, {})
})

test('without one, a second authentication has to succeed too', async () => {
  assertRefused((await run({}, { consumer: ALICE, credential: { id: 'other' } })).exit, 'No API key found in request')
})

test('an anonymous consumer that does not exist answers 500, and the log says so once', async () => {
  const logged: string[] = []
  const log = { error: (_: object, message: string) => logged.push(message), warn() {}, info() {}, debug() {} }
  const state = prepare(keyAuth, { anonymous: 'nobody' }, { entities: new FakeEntities(ROWS), log })
  for (let i = 0; i < 3; i++) {
    assert.partialDeepStrictEqual(keyAuth.access!(fakeExchange(), state), {
      status: 500,
      message: 'An unexpected error occurred',
    })
  }
  assert.equal(logged.length, 1)
})

test('a client can not claim to be somebody', async () => {
  const claims = {
    'X-Consumer-Username': 'root',
    'X-Consumer-Custom-ID': 'root',
    'X-Anonymous-Consumer': 'true',
    'X-Credential-Identifier': 'root',
  }
  const known = await run({}, { headers: { ...claims, apikey: 'alice-key' } })
  assert.equal(known.sent['x-anonymous-consumer'], undefined)
  assert.equal(known.sent['x-consumer-username'], 'alice')
  const anonymous = await run({ anonymous: NOBODY.id }, { headers: claims })
  assert.equal(anonymous.sent['x-credential-identifier'], undefined)
  assert.equal(anonymous.sent['x-consumer-custom-id'], undefined)
})

test('lets OPTIONS pass without a key only when told to', async () => {
  assertRefused((await run({}, { method: 'OPTIONS' })).exit, 'No API key found in request')
  assert.equal((await run({ run_on_preflight: false }, { method: 'OPTIONS' })).exit, null)
})

test('without any name to look for it lets nobody pass', async () => {
  assert.partialDeepStrictEqual((await run({ key_names: [] }, { headers: { apikey: 'alice-key' } })).exit, {
    status: 500,
    message: 'Invalid plugin configuration',
  })
})

test('a config with a bad name names the field', () => {
  assert.throws(() => prepare(keyAuth, { key_names: ['a b'] }), { code: 'CONFIG_INVALID', field: 'key_names.0' })
  assert.throws(() => prepare(keyAuth, { zzz: 1 }), { code: 'CONFIG_INVALID', field: 'zzz' })
})
