import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import type { Field, Fields } from './field.ts'
import { testContext, testModel } from './testing.ts'
import { entityJsonSchema, recordJsonSchema } from './json-schema.ts'

const model = testModel(pluginSchemas, pluginEntities)
const context = testContext()
const ajv = (): Ajv2020 => new Ajv2020({ strict: false, unicodeRegExp: false, validateFormats: false })

/** Texts that the validators of definitions accept: JSON Schema can't say what they say, so only these are drawn. */
const ACCEPTED: Readonly<Record<string, readonly unknown[]>> = {
  hostname: ['h.test', '10.0.0.1'],
  hostname_optional_port: ['h.test:80'],
  route_host: ['h.test'],
  sni_name: ['s.test'],
  wildcard_hostname: ['s.test', '*.s.test'],
  ip: ['10.0.0.1'],
  ip_or_cidr: ['10.0.0.0/8', '::1'],
  cidr_v4: ['10.0.0.0/8'],
  uri_path: ['/a'],
  route_path: ['/a', '~/a+$'],
  name_ascii: ['n'],
  name_utf8: ['n', 'é'],
  tag: ['t'],
  url: ['http://u.test/x'],
  redirect_uri: ['http://u.test/x'],
  header_name: ['X-A', 'x-b'],
  http_token: ['token'],
  upstream_name: ['u.test'],
  target_address: ['t.test:80'],
  cors_origin: ['*'],
  header_pair: ['a:b'],
  header_pair_both: ['a:b'],
  transform_value: ['a:b'],
  acme_namespace: ['ns'],
  acme_shm_exists: ['kong'],
}
/** Checks and validators in code, and Lua: there is nothing to compare. */
const BEYOND = new Set([
  'ai-proxy',
  'ai-request-transformer',
  'ai-response-transformer',
  'aws-lambda',
  'pre-function',
  'post-function',
  'rate-limiting',
  'response-ratelimiting',
  'request-termination',
  'http-log',
  'zipkin',
  'opentelemetry',
  'oauth2',
])

const WRONG = fc.constantFrom<unknown>(null, '', 5, -1, 1.5, 70_000, true, 'zzz', 'a b', '{vault://env/a}')

function valueOf(field: Field): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 4, arbitrary: likely(field) },
    { weight: 1, arbitrary: WRONG.filter((value) => !isBeyond(field, value)) },
  )
}

/** Whether a wrong text for a field with a validator would be a question that JSON Schema can't answer. */
function isBeyond(field: Field, value: unknown): boolean {
  return typeof value === 'string' && value !== '' && (field.validator !== undefined || field.is_regex === true)
}

function likely(field: Field): fc.Arbitrary<unknown> {
  if (field.one_of !== undefined && Array.isArray(field.one_of)) return fc.constantFrom<unknown>(...field.one_of)
  switch (field.type) {
    case 'string':
      if (field.validator !== undefined) return fc.constantFrom(...(ACCEPTED[field.validator] ?? [null]))
      if (field.is_regex === true) return fc.constantFrom('a+', 'b')
      return field.uuid === true
        ? fc.constantFrom('00000000-0000-4000-8000-00000000dddd', 'ABCDEFAB-0000-4000-8000-00000000DDDD', 'x')
        : fc.constantFrom('/a', '/a//b', 'b', 'GET', 'name.ext', 'x'.repeat(40), 'host', '1.2')
    case 'integer':
      if (field.between !== undefined) return fc.constantFrom(...around(field.between))
      return fc.oneof(fc.integer({ min: -2, max: 130 }), fc.constantFrom(65_535, 65_536, 2_147_483_647))
    case 'number':
      if (field.between !== undefined) return fc.constantFrom(...around(field.between))
      return fc.oneof(fc.integer({ min: -2, max: 130 }), fc.constantFrom(0.5, 0.001, 65_535.5, 1e9))
    case 'boolean':
      return fc.boolean()
    case 'array':
    case 'set':
      return fc.array(valueOf(field.elements!), { maxLength: 3 })
    case 'map':
      return fc
        .dictionary(fc.constantFrom('X-A', 'x-b', 'access'), valueOf(field.values as Field), { maxKeys: 2 })
        .map((map) => ({ ...map }))
    case 'record':
      return recordOf(field.fields!)
    case 'foreign':
      return fc.constantFrom<unknown>({ id: '00000000-0000-4000-8000-00000000dddd' }, { id: 'x' }, 'x', {})
    default:
      return fc.constant(null)
  }
}

function around([least, most]: readonly number[]): number[] {
  return [least! - 1, least!, least! + 1, most! - 1, most!, most! + 1]
}

/** Some fields of something that is right are replaced, so that the draws are near the border between right and wrong. */
function nearly(example: Record<string, unknown>, fields: Fields): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .subarray(Object.keys(fields), { minLength: 1, maxLength: 2 })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, valueOf(fields[name]!)]))))
    .map((changes) => ({ ...example, ...changes }))
}

const ID = '00000000-0000-4000-8000-00000000dddd'
const EXAMPLES: Readonly<Record<string, Record<string, unknown>>> = {
  services: { host: 'h.test', protocol: 'https', tls_verify: true },
  routes: { paths: ['/a'], methods: ['GET'] },
  consumers: { username: 'u' },
  targets: { target: 't.test:80', upstream: { id: ID } },
  upstreams: { name: 'u.test', hash_on: 'header', hash_on_header: 'x' },
  key_sets: {},
  snis: { name: 's.test', certificate: { id: ID } },
  consumer_groups: { name: 'g' },
  workspaces: { name: 'w' },
  acls: { group: 'g', consumer: { id: ID } },
}

function recordOf(fields: Fields, demanded: readonly string[] = []): fc.Arbitrary<Record<string, unknown>> {
  const values = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, valueOf(field)]))
  const isDemanded = (name: string): boolean => demanded.includes(name) || fields[name]!.required === true
  const needed = Object.keys(fields).filter(isDemanded)
  const others = Object.keys(fields).filter((name) => !isDemanded(name))
  return fc
    .tuple(
      // Few of the optional fields, or nothing would ever be right as a whole.
      fc.subarray(others, { maxLength: Math.min(4, others.length) }),
      fc.subarray(needed, { minLength: Math.max(0, needed.length - 1) }),
      fc.option(fc.constant('unknown_field'), { freq: 20 }),
    )
    .chain(([optional, needed, unknown]) =>
      fc.record({
        ...Object.fromEntries([...optional, ...needed].map((name) => [name, values[name]!])),
        ...(unknown === null ? {} : { unknown_field: fc.constant(1) }),
      }),
    )
}

for (const [kind, example] of Object.entries(EXAMPLES)) {
  test(`the JSON Schema of ${kind} and the model agree on what is right`, () => {
    const definition = model.entities.get(kind)!
    const fields: Record<string, Field> = { ...definition.fields }
    // A choice of algorithm changes `hash_on`, which only code can say.
    if (kind === 'upstreams') delete fields['algorithm']
    const validate = ajv().compile(entityJsonSchema(definition))
    let right = 0
    fc.assert(
      fc.property(fc.oneof(recordOf(fields), nearly(example, fields)), (input) => {
        // Null stands for 'none' here, which only code can say.
        if (input['hash_on'] === null) return
        const checked = model.check(kind, input, context)
        // That two fields differ can't be said in JSON Schema.
        if (!checked.ok && JSON.stringify(checked.fields).includes('must be distinct')) return
        if (checked.ok) right++
        assert.equal(validate(input), checked.ok, JSON.stringify(checked.ok ? validate.errors : checked.fields))
      }),
      { numRuns: 600 },
    )
    assert.ok(right > 0, 'nothing that was drawn was right')
  })
}

for (const schema of pluginSchemas.filter(({ name }) => !BEYOND.has(name))) {
  test(`the JSON Schema of the configuration of ${schema.name} and the model agree on what is right`, () => {
    const { config, shorthand_fields: shorthands, config_checks: checks = [] } = schema
    // Checks over the whole plugin name the configuration as `config.x`.
    const whole = recordJsonSchema(
      {
        fields: {
          config: {
            type: 'record',
            required: true,
            fields: config,
            ...(shorthands && { shorthand_fields: shorthands }),
            checks,
          },
        },
        checks: schema.checks ?? [],
      },
      'request',
    )
    const validate = ajv().compile(whole)
    fc.assert(
      fc.property(recordOf(config), (given) => {
        const checked = model.check('plugins', { name: schema.name, config: given }, context)
        assert.equal(
          validate({ config: given }),
          checked.ok,
          JSON.stringify(checked.ok ? validate.errors : checked.fields),
        )
      }),
      { numRuns: 60 },
    )
  })
}

test('every answer of the model conforms to the JSON Schema of answers', () => {
  for (const kind of ['services', 'routes', 'consumers', 'targets', 'upstreams', 'key_sets', 'keyauth_credentials']) {
    const definition = model.entities.get(kind)!
    const validate = ajv().compile(entityJsonSchema(definition, 'answer'))
    fc.assert(
      fc.property(recordOf(definition.fields), (input) => {
        const checked = model.insert(kind, input, context)
        if (!checked.ok) return
        const shown = model.present(kind, checked.document, context.nowMs)
        assert.ok(validate(shown), `${JSON.stringify(validate.errors)} in ${JSON.stringify(shown)}`)
      }),
      { numRuns: 200 },
    )
  }
})
