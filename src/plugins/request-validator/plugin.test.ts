import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { FakeMetrics, fakeExchange, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { requestValidator } from './plugin.ts'

const POST = { method: 'POST' } as const

async function run(config: object, request: FakeExchangeOptions, metrics = new FakeMetrics()): Promise<Exit | void> {
  return await requestValidator.access!(fakeExchange(request), prepare(requestValidator, config, { metrics }))
}

/** Status and message of the answer, null for a request that passes. */
async function answerTo(config: object, request: FakeExchangeOptions): Promise<string | null> {
  const exit = await run(config, request)
  if (exit === undefined) return null
  const said = exit.message ?? (JSON.parse(String(exit.body)) as { message: string }).message
  return `${exit.status} ${said}`
}

const NAMED = JSON.stringify({
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', pattern: '^[a-z]+$' }, tags: { type: 'array', uniqueItems: true } },
})
const BODY = { version: 'draft202012', body_schema: NAMED, verbose_response: true } as const

const bodies: readonly [name: string, body: object | string | Buffer, answer: string | null][] = [
  ['one that conforms', { name: 'ann' }, null],
  ['a missing member', {}, "400 request body must have required property 'name'"],
  ['another type', { name: 1 }, '400 request body /name must be string'],
  ['another pattern', { name: 'A' }, '400 request body /name must match pattern "^[a-z]+$"'],
  ['a line break behind a pattern', { name: 'a\n' }, '400 request body /name must match pattern "^[a-z]+$"'],
  ['no JSON', '{', '400 request body is not JSON'],
  ['nothing but spaces', '   ', '400 request body is not JSON'],
  ['two values', '{"name":"a"}{"name":"b"}', '400 request body is not JSON'],
  ['a byte order mark', '\ufeff{"name":"a"}', '400 request body is not JSON'],
  ['bytes that are no UTF-8', Buffer.from('{"name":"\xff"}', 'latin1'), '400 request body is not in UTF-8'],
  ['a member twice', '{"name":"a","name":"b"}', '400 request body has a member twice'],
  ['a member twice by an escape', '{"name":"a","n\\u0061me":"b"}', '400 request body has a member twice'],
  ['the same name in two objects', '{"name":"a","x":{"name":"b"},"y":[{"name":"c"}]}', null],
  ['a prototype', '{"__proto__":{"name":"a"}}', "400 request body must have required property 'name'"],
  [
    'a value 101 deep',
    `{"name":"a","x":${'['.repeat(100)}${']'.repeat(100)}}`,
    '400 request body is nested more than 100 deep',
  ],
  [
    'items that are equal',
    '{"name":"a","tags":[{"a":1,"b":2},{"b":2,"a":1}]}',
    '400 request body /tags must NOT have duplicate items',
  ],
  ['items that differ', { name: 'a', tags: [1, '1', [1], { a: 1 }, null] }, null],
]
for (const [name, body, answer] of bodies) {
  test(`a body: ${name}`, async () => {
    const request = { ...POST, body, headers: { 'Content-Type': 'application/json' } }
    assert.equal(await answerTo(BODY, request), answer)
  })
}

test('without verbose_response nothing of the schema is told', async () => {
  const answer = await answerTo({ ...BODY, verbose_response: false }, { ...POST, body: {} })
  assert.equal(answer, "400 request body doesn't conform to schema")
})

test('many equal items cost no more than their length', async () => {
  const tags = Array.from({ length: 20_000 }, (_, index) => ({ index }))
  assert.equal(await answerTo(BODY, { ...POST, body: { name: 'a', tags } }), null)
})

test('a pattern that backtracks is matched in linear time', async () => {
  const body_schema = JSON.stringify({ type: 'object', properties: { x: { pattern: '^(a+)+$' } } })
  const answer = await answerTo({ version: 'draft7', body_schema }, { ...POST, body: { x: 'a'.repeat(50_000) + '!' } })
  assert.equal(answer, "400 request body doesn't conform to schema")
})

test('a long text is of no format', async () => {
  const body_schema = JSON.stringify({ properties: { x: { format: 'email' } } })
  const answer = await answerTo({ version: 'draft7', body_schema }, { ...POST, body: { x: 'a'.repeat(900_000) } })
  assert.equal(answer, "400 request body doesn't conform to schema")
})

const types: readonly [given: string | readonly string[] | null, config: object, answer: string | null][] = [
  ['application/json', {}, null],
  ['Application/JSON', {}, null],
  ['application/json; charset=utf-8', {}, '400 specified Content-Type is not allowed'],
  ['application/json; charset=UTF-8', { allowed_content_types: ['application/json;charset=utf-8'] }, null],
  ['application/json; x=1', { content_type_parameter_validation: false }, null],
  [
    'application/json; charset=utf-16',
    { content_type_parameter_validation: false },
    '400 request body is not in UTF-8',
  ],
  ['text/plain', {}, '400 specified Content-Type is not allowed'],
  ['text/plain', { allowed_content_types: ['text/plain'] }, null],
  [
    'application/merge-patch+json',
    { allowed_content_types: ['application/merge-patch+json'] },
    "400 request body must have required property 'name'",
  ],
  ['json', {}, '400 specified Content-Type is not allowed'],
  ['application/json; charset', {}, '400 specified Content-Type is not allowed'],
  [['application/json', 'text/plain'], {}, '400 specified Content-Type is not allowed'],
  [null, {}, '400 specified Content-Type is not allowed'],
]
for (const [given, config, answer] of types) {
  test(`Content-Type ${String(given)} with ${JSON.stringify(config)}`, async () => {
    const isWrong = String(given).includes('+json')
    const body = Buffer.from(isWrong ? '{}' : '{"name":"a"}')
    const headers = given === null ? {} : { 'Content-Type': given }
    assert.equal(await answerTo({ ...BODY, ...config }, { ...POST, body, headers }), answer)
  })
}

test('a request without a body is refused where it needs one', async () => {
  assert.equal(await answerTo(BODY, { method: 'GET' }), null)
  assert.equal(await answerTo(BODY, POST), '400 specified Content-Type is not allowed')
  const headers = { 'Content-Type': 'application/json' }
  assert.equal(await answerTo(BODY, { ...POST, headers }), '400 request body is not JSON')
})

test('a body with a Content-Encoding is refused', async () => {
  const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }
  const answer = await answerTo(BODY, { ...POST, headers, body: { name: 'a' } })
  assert.equal(answer, '400 request body has a Content-Encoding')
})

test('a body over max_body_bytes is refused', async () => {
  assert.equal(
    await answerTo({ ...BODY, max_body_bytes: 8 }, { ...POST, body: { name: 'ann' } }),
    '413 Payload too large',
  )
})

test("a schema in Kong's form", async () => {
  const fields = [
    { name: { type: 'string', required: true, match: '^%a+$' } },
    { age: { type: 'integer', between: [1, 99] } },
    { kind: { type: 'string', one_of: ['a', 'b'] } },
    { tags: { type: 'set', elements: { type: 'string', starts_with: 't.' } } },
    { meta: { type: 'map', keys: { type: 'string' }, values: { type: 'boolean' } } },
    { inner: { type: 'record', fields: [{ id: { type: 'string', uuid: true, required: true } }] } },
  ]
  const config = { body_schema: JSON.stringify(fields), verbose_response: true }
  const cases: [object, string | null][] = [
    [{ name: 'ann' }, null],
    [{ name: 'ann', age: null, kind: null, inner: null }, null],
    [{ name: 'ann', age: 50, kind: 'b', tags: ['t.x'], meta: { a: true } }, null],
    [{ name: 'a1' }, '400 request body /name must match pattern "^[A-Za-z]+$"'],
    [{ name: '' }, '400 request body /name must NOT have fewer than 1 characters'],
    [{ name: null }, '400 request body /name must be string'],
    [{}, "400 request body must have required property 'name'"],
    [{ name: 'a', other: 1 }, '400 request body must NOT have the property "other"'],
    [{ name: 'a', age: 0 }, '400 request body /age must be >= 1'],
    [{ name: 'a', kind: 'c' }, '400 request body /kind must be one of ["a","b",null]'],
    [{ name: 'a', tags: ['tx'] }, '400 request body /tags/0 must match pattern "^t\\."'],
    [{ name: 'a', meta: { a: 'x' } }, '400 request body /meta/a must be boolean'],
    [{ name: 'a', inner: {} }, "400 request body /inner must have required property 'id'"],
  ]
  for (const [body, answer] of cases)
    assert.equal(await answerTo(config, { ...POST, body }), answer, JSON.stringify(body))
})

const refused: readonly [name: string, config: object, field: string, message: RegExp][] = [
  ['nothing to validate by', {}, '', /at least one of these fields must be non-empty/],
  ['a body schema that is no JSON', { version: 'draft4', body_schema: '{' }, 'body_schema', /expected JSON/],
  [
    'a body schema that is none',
    { version: 'draft4', body_schema: '{"type":"text"}' },
    'body_schema',
    /data\/type must be/,
  ],
  [
    'a reference to elsewhere',
    { version: 'draft7', body_schema: '{"$ref":"http://127.0.0.1/s.json"}' },
    'body_schema',
    /can't resolve reference/,
  ],
  [
    'a pattern that looks ahead',
    { version: 'draft7', body_schema: '{"pattern":"^(?=a)"}' },
    'body_schema',
    /linear time/,
  ],
  ['an asynchronous schema', { version: 'draft7', body_schema: '{"$async":true}' }, 'body_schema', /\$async/],
  ["Kong's form that is no list", { body_schema: '{}' }, 'body_schema', /expected a list of fields/],
  [
    "Kong's form with an unknown rule",
    { body_schema: '[{"a":{"type":"string","len_mix":1}}]' },
    'body_schema',
    /a\.len_mix: is no rule/,
  ],
  ["Kong's form without a type", { body_schema: '[{"a":{}}]' }, 'body_schema', /a\.type: expected one of/],
  [
    "Kong's form with a balanced pattern",
    { body_schema: '[{"a":{"type":"string","match":"%b()"}}]' },
    'body_schema',
    /a\.match: expected another value/,
  ],
  [
    'a type that is none',
    { ...BODY, allowed_content_types: ['json'] },
    'allowed_content_types.0',
    /expected a media type/,
  ],
  [
    'a style of another place',
    {
      parameter_schema: [
        { in: 'header', name: 'x', required: true, style: 'form', explode: false, schema: '{"type":"string"}' },
      ],
    },
    'parameter_schema.0.style',
    /expected one of simple/,
  ],
  [
    'a parameter without a type',
    { parameter_schema: [{ in: 'query', name: 'x', required: true, style: 'form', explode: false, schema: '{}' }] },
    'parameter_schema.0.schema',
    /a schema with a type/,
  ],
]
for (const [name, config, field, message] of refused) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => prepare(requestValidator, config),
      (error: Error & { field?: string }) => {
        assert.match(error.message, message)
        if (field !== '') assert.equal(error.field, field)
        return true
      },
    )
  })
}

test('a style needs a schema', () => {
  const parameter_schema = [{ in: 'query', name: 'x', required: true, style: 'form' }]
  assert.throws(() => prepare(requestValidator, { parameter_schema }), { code: 'CONFIG_INVALID' })
})

test('refusals are counted by their reason', async () => {
  const metrics = new FakeMetrics()
  await run(BODY, { ...POST, body: {} }, metrics)
  await run(BODY, { ...POST, body: 'x' }, metrics)
  assert.deepEqual(metrics.refusals, ['request-validator body', 'request-validator content_type'])
})
