import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import { TEST_TIME_MS, testContext, testModel } from '../testing.ts'
import { diffDeclarative } from './diff.ts'
import { dumpDeclarative, dumpYaml } from './dump.ts'
import { loadDeclarative, type Entry } from './load.ts'

const model = testModel(pluginSchemas, pluginEntities)

function load(
  input: { text?: string; value?: unknown },
  nowMs = TEST_TIME_MS,
  state: readonly Entry[] = [],
): readonly Entry[] {
  const current = (kind: string, id: string) =>
    state.find((entry) => entry.kind === kind && entry.document.id === id)?.document
  const loaded = loadDeclarative(input, { model, context: testContext({ nowMs }), current })
  assert.ok(loaded.ok, JSON.stringify(!loaded.ok && loaded.problems))
  return loaded.entries
}

const tags = fc.option(fc.uniqueArray(fc.constantFrom('red', 'blue', 'a b'), { maxLength: 2 }))
const nullable = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary)

/** Files with names in disorder, nulls where a default would be, and configurations of several depths. */
const file = fc
  .record({
    services: fc.uniqueArray(
      fc.record({
        name: fc.oneof(
          fc.stringMatching(/^[a-z]{1,6}$/),
          fc.constantFrom('on', 'no', 'null', '1', '1.5', '0x1', 'true', '~'),
        ),
        host: fc.constantFrom('h.test', '10.0.0.1'),
        retries: nullable(fc.nat(5)),
        path: nullable(fc.constant('/p')),
        tags,
      }),
      { selector: ({ name }) => name, maxLength: 4 },
    ),
    consumers: fc.uniqueArray(
      fc.record({
        username: fc.stringMatching(/^[a-z]{1,6}$/),
        keyauth_credentials: fc.array(fc.record({ key: fc.uuid(), ttl: nullable(fc.constant(500)) }), { maxLength: 2 }),
        acls: fc.uniqueArray(fc.record({ group: fc.constantFrom('g', 'h') }), { selector: ({ group }) => group }),
        basicauth_credentials: fc.array(fc.record({ username: fc.uuid(), password: fc.string({ minLength: 1 }) }), {
          maxLength: 1,
        }),
      }),
      { selector: ({ username }) => username, maxLength: 3 },
    ),
    upstreams: fc.uniqueArray(
      fc.record({
        name: fc.stringMatching(/^[a-z]{1,6}$/),
        hash_on: fc.constantFrom('none', 'ip', 'consumer'),
        healthchecks: fc.record({
          active: fc.record({
            healthy: fc.record({ interval: fc.nat(5) }),
            headers: nullable(fc.constant({ 'x-a': ['1'] })),
          }),
        }),
        targets: fc.uniqueArray(fc.record({ target: fc.constantFrom('a:1', 'b', '[::1]:2'), weight: fc.nat(10) }), {
          selector: ({ target }) => target,
        }),
      }),
      { selector: ({ name }) => name, maxLength: 3 },
    ),
    plugins: fc.uniqueArray(
      fc.constantFrom<Record<string, unknown>>(
        { name: 'rate-limiting', config: { minute: 5, redis: { host: 'r.test' } } },
        { name: 'rate-limiting', config: { second: 1, redis_host: 'old.test', error_message: null } },
        { name: 'cors', enabled: false },
        {
          name: 'request-transformer',
          config: { add: { headers: ['a:b'] } },
          ordering: { before: { access: ['key-auth'] } },
        },
        { name: 'session' },
        { name: 'key-auth', config: { key_names: ['a'] } },
        { name: 'statsd' },
      ),
      { selector: ({ name }) => name },
    ),
  })
  .map((lists) => ({ _format_version: '3.0', ...lists }))

test('what is dumped loads to the same entities, and is dumped to the same text', () => {
  fc.assert(
    fc.property(file, (value) => {
      const first = load({ value })
      const text = dumpYaml(first, { model, nowMs: TEST_TIME_MS })
      const second = load({ text })
      const ordered = (entries: readonly Entry[]): Entry[] =>
        entries.toSorted((a, b) => (a.document.id < b.document.id ? -1 : 1))
      assert.deepEqual(ordered(second), ordered(first))
      assert.equal(dumpYaml(second, { model, nowMs: TEST_TIME_MS }), text)
    }),
    { numRuns: 150 },
  )
})

test('loading a file again changes nothing, loading another one changes what differs', () => {
  fc.assert(
    fc.property(file, file, (one, other) => {
      const current = load({ value: one })
      assert.deepEqual(diffDeclarative(current, load({ value: one }, TEST_TIME_MS + 500, current), model), [])
      const steps = diffDeclarative(current, load({ value: other }), model)
      const state = new Map(current.map((entry) => [entry.document.id, entry]))
      for (const step of steps) {
        if (step.op === 'delete') assert.ok(state.delete(step.id))
        else state.set(step.document.id, step)
      }
      assert.deepEqual(
        [...state.keys()].toSorted(),
        load({ value: other })
          .map(({ document }) => document.id)
          .toSorted(),
      )
    }),
    { numRuns: 100 },
  )
})

test('times alone make no difference, and the time of creation is kept', () => {
  const value = { _format_version: '3.0', services: [{ name: 's', host: 'h' }] }
  const current = load({ value })
  assert.deepEqual(diffDeclarative(current, load({ value }, TEST_TIME_MS + 60_000), model), [])
  const changed = { ...value, services: [{ name: 's', host: 'other' }] }
  const [step] = diffDeclarative(current, load({ value: changed }, TEST_TIME_MS + 60_000), model)
  assert.ok(step?.op === 'put')
  assert.equal(step.document['created_at'], TEST_TIME_MS / 1000)
  assert.equal(step.document['updated_at'], TEST_TIME_MS / 1000 + 60)
})

test('parents are put before and deleted after what points to them', () => {
  const value = {
    _format_version: '3.0',
    services: [{ name: 's', host: 'h', routes: [{ name: 'r', paths: ['/'], plugins: [{ name: 'cors' }] }] }],
  }
  const entries = load({ value })
  assert.deepEqual(
    diffDeclarative([], entries, model).map(({ kind }) => kind),
    ['services', 'routes', 'plugins'],
  )
  assert.deepEqual(
    diffDeclarative(entries, [], model).map(({ kind, op }) => `${op} ${kind}`),
    ['delete plugins', 'delete routes', 'delete services'],
  )
})

test('kinds that no file holds are neither dumped nor deleted', () => {
  const token = {
    kind: 'oauth2_authorization_codes',
    workspace: '',
    document: { id: '00000000-0000-4000-8000-000000000001', code: 'c' },
  }
  assert.deepEqual(diffDeclarative([token], [], model), [])
  assert.deepEqual(Object.keys(dumpDeclarative([token], { model, nowMs: 0 })), ['_format_version', '_transform'])
})

test('a dump leaves out what has ended, old names of fields, and what loading fills in', () => {
  const entries = load({
    value: {
      _format_version: '3.0',
      consumers: [{ username: 'u', keyauth_credentials: [{ key: 'a', ttl: 10 }, { key: 'b' }] }],
      plugins: [{ name: 'rate-limiting', config: { minute: 1, redis_host: 'r.test' } }],
    },
  })
  const dumped = dumpDeclarative(entries, { model, nowMs: TEST_TIME_MS + 11_000 }) as any
  assert.deepEqual(
    dumped.keyauth_credentials.map(({ key }: any) => key),
    ['b'],
  )
  assert.equal(dumped.plugins[0].config.redis.host, 'r.test')
  assert.equal('redis_host' in dumped.plugins[0].config, false)
  assert.equal('hour' in dumped.plugins[0].config, false)
})

test('entities of other workspaces are dumped with their workspace', () => {
  const entries = load({ value: { _format_version: '3.0', _workspace: 'team', services: [{ name: 's', host: 'h' }] } })
  const text = dumpYaml(entries, { model, nowMs: TEST_TIME_MS })
  assert.deepEqual(load({ text }), entries)
})
