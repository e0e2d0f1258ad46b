import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import type { Checked } from './contract.ts'
import { EXPIRES_AT, type Document } from './document.ts'
import { isExpired } from './expiry.ts'
import { TEST_TIME_MS, testContext, testModel } from './testing.ts'

const model = testModel(pluginSchemas, pluginEntities)
const ID = '00000000-0000-4000-8000-00000000dddd'
const LATER = testContext({ nowMs: TEST_TIME_MS + 60_000 })

function made(checked: Checked): Document & Record<string, any> {
  assert.ok(checked.ok, JSON.stringify(!checked.ok && checked.fields))
  return checked.document
}
function fieldsOf(checked: Checked): Record<string, any> {
  assert.ok(!checked.ok, 'expected a refusal')
  return checked.fields
}
const insert = (kind: string, input: Record<string, unknown>): Document & Record<string, any> =>
  made(model.insert(kind, input, testContext()))
const plugin = (input: Record<string, unknown>): Document & Record<string, any> => insert('plugins', input)

test('a document has every field of its definition, null where it has no value', () => {
  const service = insert('services', { host: 'h' })
  for (const name of Object.keys(model.entities.get('services')!.fields))
    assert.notEqual(service[name], undefined, name)
  assert.equal(service['path'], null)
  assert.equal(service['created_at'], TEST_TIME_MS / 1000)
})

test('a given null stays null instead of becoming the default', () => {
  assert.equal(insert('services', { host: 'h', retries: null })['retries'], null)
  assert.deepEqual(fieldsOf(model.insert('services', { host: 'h', port: null }, testContext())), {
    port: 'required field missing',
  })
})

test('an id is made where none is given, or null', () => {
  const made = insert('services', { host: 'h', id: null })
  assert.match(made.id, /^[0-9a-f-]{36}$/)
  assert.notEqual(insert('services', { host: 'h' }).id, undefined)
})

test('ids are made in lower case', () => {
  assert.equal(insert('services', { host: 'h', id: ID.toUpperCase() }).id, ID)
  assert.deepEqual(insert('routes', { paths: ['/'], service: { id: ID.toUpperCase(), name: 'x' } })['service'], {
    id: ID,
  })
})

test('names from the prototype of objects are unknown fields, and harmless', () => {
  const input = JSON.parse('{"host":"h","__proto__":{"port":1},"constructor":1}')
  assert.deepEqual(
    fieldsOf(model.insert('services', input, testContext())),
    JSON.parse('{"__proto__":"unknown field","constructor":"unknown field"}'),
  )
  assert.deepEqual(fieldsOf(model.insert('plugins', { name: 'constructor' }, testContext())), {
    name: "plugin 'constructor' not enabled; add it to the 'plugins' configuration property",
  })
})

test('the input is left as it was', () => {
  const input = Object.freeze({ url: 'http://h.test', tags: Object.freeze(['b', 'a', 'b']) })
  assert.deepEqual(insert('services', input)['tags'], ['b', 'a'])
  assert.deepEqual(input, { url: 'http://h.test', tags: ['b', 'a', 'b'] })
})

test('an empty object is taken for an empty list, and the other way round', () => {
  assert.deepEqual(insert('routes', { methods: ['GET'], hosts: {} })['hosts'], [])
  assert.deepEqual(insert('routes', { methods: ['GET'], headers: [] })['headers'], {})
})

test('a change keeps what it does not name and moves the time of change', () => {
  const current = insert('services', { name: 's', host: 'h', path: '/p', tags: ['a'] })
  const changed = made(model.update('services', current, { port: 81, path: null }, LATER))
  assert.deepEqual(changed, { ...current, port: 81, path: null, updated_at: TEST_TIME_MS / 1000 + 60 })
})

test('a change never moves an entity to another id', () => {
  const current = insert('services', { host: 'h' })
  assert.equal(made(model.update('services', current, { id: ID }, LATER)).id, current.id)
})

test('records merge field by field, lists and maps are replaced', () => {
  const current = insert('upstreams', {
    name: 'u',
    healthchecks: { active: { timeout: 3, headers: { 'x-a': ['1'] } } },
  })
  const { healthchecks } = made(
    model.update(
      'upstreams',
      current,
      { healthchecks: { active: { headers: { 'x-b': ['2'] }, healthy: { http_statuses: [200] } } } },
      LATER,
    ),
  )
  assert.equal(healthchecks.active.timeout, 3)
  assert.deepEqual(healthchecks.active.headers, { 'x-b': ['2'] })
  assert.deepEqual(healthchecks.active.healthy, { http_statuses: [200], interval: 0, successes: 0 })
})

test('the changed entity is judged as a whole, in the words of a change', () => {
  const current = insert('consumers', { username: 'u' })
  assert.deepEqual(fieldsOf(model.update('consumers', current, { username: null }, LATER)), {
    '@entity': ["when updating, at least one of these fields must be non-empty: 'custom_id', 'username'"],
  })
  assert.equal(made(model.update('consumers', current, { username: null, custom_id: 'c' }, LATER))['custom_id'], 'c')
})

test('a replacement keeps id and time of creation, and nothing else', () => {
  const current = insert('services', { name: 's', host: 'h', path: '/p' })
  const replaced = made(model.upsert('services', current, { host: 'other' }, LATER))
  assert.equal(replaced.id, current.id)
  assert.equal(replaced['created_at'], current['created_at'])
  assert.equal(replaced['path'], null)
  assert.equal(replaced['name'], null)
  assert.equal(made(model.upsert('services', null, { host: 'h', id: ID }, LATER)).id, ID)
})

test('choosing how to hash chooses the algorithm, and the other way round', () => {
  const current = insert('upstreams', { name: 'u', hash_on: 'ip' })
  assert.equal(current['algorithm'], 'consistent-hashing')
  const least = made(model.update('upstreams', current, { algorithm: 'least-connections' }, LATER))
  assert.deepEqual([least['algorithm'], least['hash_on']], ['least-connections', 'none'])
  const none = made(model.update('upstreams', current, { hash_on: null }, LATER))
  assert.equal(none['hash_on'], 'none')
})

test('old names of fields are accepted and shown, and only the new ones are stored', () => {
  const { config } = plugin({ name: 'rate-limiting', config: { minute: 1, redis_host: 'r.test' } })
  assert.equal(config.redis.host, 'r.test')
  assert.equal('redis_host' in config, false)
  const shown = model.present(
    'plugins',
    plugin({ name: 'rate-limiting', config: { minute: 1, redis: { host: 'r.test' } } }),
    TEST_TIME_MS,
  ) as any
  assert.equal(shown.config.redis_host, 'r.test')
  assert.equal(shown.config.redis_port, 6379)
})

test('an old name yields to the new one when it is null, and is refused when it says something else', () => {
  const both = (old: unknown) =>
    model.insert(
      'plugins',
      { name: 'rate-limiting', config: { minute: 1, redis_host: old, redis: { host: 'new.test' } } },
      testContext(),
    )
  assert.equal(made(both(null))['config'].redis.host, 'new.test')
  assert.equal(made(both('new.test'))['config'].redis.host, 'new.test')
  assert.deepEqual(fieldsOf(both('old.test')), {
    config: {
      redis_host:
        'both deprecated and new field are used but their values mismatch: redis_host = old.test vs redis.host = new.test',
    },
  })
})

test('a change by an old name is a change of the new field', () => {
  const current = plugin({ name: 'rate-limiting', config: { minute: 1, redis_host: 'a.test' } })
  const changed = made(model.update('plugins', current, { config: { redis_host: 'b.test' } }, LATER))
  assert.equal(changed['config'].redis.host, 'b.test')
  assert.equal(changed['config'].minute, 1)
})

test('shorthands of sessions are translated, those that mean nothing any more are dropped', () => {
  const { config } = plugin({
    name: 'session',
    config: { cookie_lifetime: 7, cookie_idletime: null, cookie_samesite: 'off', cookie_renew: 1 },
  })
  assert.equal(config.rolling_timeout, 7)
  assert.equal(config.idling_timeout, 0)
  assert.equal(config.cookie_same_site, 'Lax')
  assert.match(config.secret, /^random/)
})

test('a reference to a vault is taken where one may stand, and stays as it is', () => {
  const reference = '{vault://env/cert}'
  assert.equal(insert('certificates', { cert: reference, key: reference })['cert'], reference)
  assert.equal(
    fieldsOf(model.insert('services', { host: '{vault://env/host}' }, testContext()))['host'],
    'invalid value: {vault://env/host}',
  )
  // A check over a field with a reference can't be made before the reference is read.
  assert.equal(
    plugin({
      name: 'ai-proxy',
      config: { route_type: 'llm/v1/chat', auth: { header_name: reference }, model: { provider: 'openai', name: 'm' } },
    })['config'].auth.header_name,
    reference,
  )
})

test('a time to live becomes the moment of the end, and is shown as the seconds left', () => {
  const credential = insert('keyauth_credentials', { key: 'k', consumer: { id: ID }, ttl: 100 })
  assert.equal(credential[EXPIRES_AT], TEST_TIME_MS / 1000 + 100)
  assert.equal((model.present('keyauth_credentials', credential, TEST_TIME_MS + 30_000) as any).ttl, 70)
  assert.equal(isExpired(credential, TEST_TIME_MS + 99_999), false)
  assert.equal(isExpired(credential, TEST_TIME_MS + 100_000), true)
})

test('a change keeps the time to live unless it names another, a replacement does not', () => {
  const credential = insert('keyauth_credentials', { key: 'k', consumer: { id: ID }, ttl: 100 })
  assert.equal(
    made(model.update('keyauth_credentials', credential, { tags: ['a'] }, LATER))[EXPIRES_AT],
    credential[EXPIRES_AT],
  )
  assert.equal(
    made(model.update('keyauth_credentials', credential, { ttl: 5 }, LATER))[EXPIRES_AT],
    TEST_TIME_MS / 1000 + 65,
  )
  assert.equal(made(model.update('keyauth_credentials', credential, { ttl: null }, LATER))[EXPIRES_AT], null)
  assert.equal(
    made(model.upsert('keyauth_credentials', credential, { key: 'k', consumer: { id: ID } }, LATER))[EXPIRES_AT],
    null,
  )
})

test('a wrong time to live is an option that is wrong, and elsewhere an unknown field', () => {
  for (const ttl of [-1, 1.5, '5', 100_000_001]) {
    const checked = model.insert('keyauth_credentials', { consumer: { id: ID }, ttl }, testContext())
    assert.ok(!checked.ok && checked.isOption === true)
    assert.deepEqual(checked.fields, { ttl: 'must be an integer between 0 and 100000000' })
  }
  assert.deepEqual(fieldsOf(model.insert('consumers', { username: 'u', ttl: 1 }, testContext())), {
    ttl: 'unknown field',
  })
})

test('what Kong does not have is shown only when it is set', () => {
  const shown = (kind: string, input: Record<string, unknown>): object =>
    model.present(kind, insert(kind, input), TEST_TIME_MS)
  assert.equal('query' in shown('routes', { paths: ['/'] }), false)
  assert.deepEqual((shown('routes', { query: { version: ['1', '2'] } }) as any).query, { version: ['1', '2'] })
  assert.equal('consumer_group' in shown('plugins', { name: 'cors' }), false)
  assert.equal('ordering' in shown('plugins', { name: 'cors' }), false)
  assert.deepEqual(
    (shown('plugins', { name: 'rate-limiting', config: { minute: 1 }, consumer_group: { id: ID } }) as any)
      .consumer_group,
    { id: ID },
  )
})

test('a query is enough to make a route, and has no place on streams', () => {
  assert.ok(insert('routes', { query: { a: [] } }))
  assert.deepEqual(
    fieldsOf(
      model.insert('routes', { protocols: ['tcp'], destinations: [{ port: 1 }], query: { a: ['1'] } }, testContext()),
    ),
    {
      query: "cannot set 'query' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'",
    },
  )
})

test('plugins that belong to no consumer belong to no group either', () => {
  assert.deepEqual(fieldsOf(model.insert('plugins', { name: 'key-auth', consumer_group: { id: ID } }, testContext())), {
    consumer_group: 'value must be null',
  })
})

test('a plugin that this gateway can not run is refused by name, an unknown one as in Kong', () => {
  const few = testModel(pluginSchemas, pluginEntities, ['cors'])
  assert.deepEqual(fieldsOf(few.insert('plugins', { name: 'acl' }, testContext())), {
    name: "plugin 'acl' is not available in this version of Meridian",
  })
  assert.deepEqual(fieldsOf(few.insert('plugins', { name: 'mine' }, testContext())), {
    name: "plugin 'mine' not enabled; add it to the 'plugins' configuration property",
  })
})

test('Lua is refused with the way out', () => {
  const { config } = fieldsOf(
    model.insert('plugins', { name: 'pre-function', config: { access: ['local x = 1'] } }, testContext()),
  )
  assert.match(config.access[0], /Lua code cannot run in this gateway/)
})

test('server names of routes may have wildcards, but not under the traditional flavor', () => {
  const input = { protocols: ['https'], snis: ['*.a.test'] }
  assert.ok(model.insert('routes', input, testContext()).ok)
  assert.deepEqual(fieldsOf(model.insert('routes', input, testContext({ routerFlavor: 'traditional' }))), {
    snis: ['invalid value: *.a.test'],
  })
})

test('a password is stored as its hash, and hashed again only when it is given', () => {
  const stored = insert('basicauth_credentials', { username: 'u', password: 'p', consumer: { id: ID } })
  assert.match(stored['password'], /^[0-9a-f]{40}$/)
  assert.equal(
    made(model.update('basicauth_credentials', stored, { username: 'v' }, LATER))['password'],
    stored['password'],
  )
  // The hash is salted with the consumer: who changes one has to give the other.
  assert.deepEqual(fieldsOf(model.update('basicauth_credentials', stored, { password: 'q' }, LATER)), {
    '@entity': ["all or none of these fields must be set: 'password', 'consumer.id'"],
  })
  assert.notEqual(
    made(model.update('basicauth_credentials', stored, { password: 'q', consumer: { id: ID } }, LATER))['password'],
    stored['password'],
  )
})

test('a client secret is hashed when the client asks for it', () => {
  const { client_secret: plain } = insert('oauth2_credentials', { name: 'a', client_secret: 's', consumer: { id: ID } })
  assert.equal(plain, 's')
  const { client_secret: hashed } = insert('oauth2_credentials', {
    name: 'a',
    client_secret: 's',
    hash_secret: true,
    consumer: { id: ID },
  })
  assert.match(hashed, /^\$pbkdf2-sha512\$i=10000,l=32\$[^$]+\$[^$]+$/)
})

test('targets are stored with their port, addresses in their long form', () => {
  const target = (text: string): unknown => insert('targets', { target: text, upstream: { id: ID } })['target']
  assert.equal(target('a.test'), 'a.test:8000')
  assert.equal(target('10.0.0.1:80'), '10.0.0.1:80')
  assert.equal(target('[::1]:80'), '[0000:0000:0000:0000:0000:0000:0000:0001]:80')
  assert.equal(target('::1'), '[0000:0000:0000:0000:0000:0000:0000:0001]:8000')
})

test('one field can be judged alone', () => {
  assert.equal(model.checkField('upstreams', 'name', '10.0.0.1'), "Invalid name ('10.0.0.1'); no ip addresses allowed")
  assert.equal(model.checkField('upstreams', 'name', 'u.test'), null)
})

test('times of targets have milliseconds, other times are whole seconds', () => {
  const context = testContext({ nowMs: 1_700_000_000_123 })
  assert.equal(
    made(model.insert('targets', { target: 't', upstream: { id: ID } }, context))['created_at'],
    1_700_000_000.123,
  )
  assert.equal(made(model.insert('consumers', { username: 'u' }, context))['created_at'], 1_700_000_000)
})

test('all errors of nested lists and records are told at once', () => {
  const input = {
    name: 'statsd',
    config: {
      metrics: [
        { name: 'request_count', stat_type: 'counter', sample_rate: 1 },
        { name: 'zzz', stat_type: 'counter' },
      ],
      port: 'x',
    },
  }
  const { config } = fieldsOf(model.insert('plugins', input, testContext()))
  assert.equal(config.port, 'expected an integer')
  assert.equal(config.metrics[0], null)
  assert.match(config.metrics[1].name, /^expected one of: /)
  assert.deepEqual(config.metrics[1]['@entity'], ["failed conditional validation given value of field 'stat_type'"])
  assert.equal(config.metrics[1].sample_rate, 'required field missing')
})
