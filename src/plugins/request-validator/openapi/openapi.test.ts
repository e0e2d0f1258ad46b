import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { requestValidator } from '../plugin.ts'

const PETS = {
  openapi: '3.1.0',
  info: { title: 'Pets', version: '1' },
  servers: [{ url: 'https://api.example/{stage}', variables: { stage: { default: 'v1' } } }],
  paths: {
    '/pets': {
      parameters: [{ $ref: '#/components/parameters/limit' }],
      get: { parameters: [{ name: 'Accept', in: 'header', required: true, schema: { const: 'never looked at' } }] },
      post: {
        requestBody: { $ref: '#/components/requestBodies/Pet' },
      },
    },
    '/pets/mine': { get: {} },
    '/pets/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'integer', minimum: 1 } }],
      get: {
        parameters: [
          { name: 'q', in: 'query', content: { 'application/json': { schema: { type: 'object', required: ['x'] } } } },
        ],
      },
      delete: {},
    },
    '/pets/{id}/photo.{format}': {
      get: {
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'integer' } },
          { name: 'format', in: 'path', required: true, schema: { enum: ['png', 'jpg'] } },
        ],
      },
    },
    '/forms': {
      post: {
        requestBody: {
          required: true,
          content: {
            'application/x-www-form-urlencoded': {
              schema: {
                type: 'object',
                required: ['age'],
                properties: { age: { type: 'integer' }, tags: { type: 'array', items: { type: 'string' } } },
                additionalProperties: false,
              },
            },
            'image/*': {},
          },
        },
      },
    },
  },
  components: {
    parameters: { limit: { name: 'limit', in: 'query', schema: { type: 'integer', maximum: 100 } } },
    requestBodies: {
      Pet: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Pet' } } } },
    },
    schemas: {
      Pet: {
        type: 'object',
        required: ['id', 'name'],
        properties: {
          id: { type: 'integer', readOnly: true },
          name: { type: 'string' },
          parent: { $ref: '#/components/schemas/Pet' },
        },
        additionalProperties: false,
        examples: [{ $id: 'https://example.com/not-a-schema', $ref: 'https://example.com/neither' }],
      },
    },
  },
}

async function answerTo(config: object, request: FakeExchangeOptions): Promise<string | null> {
  const state = prepare(requestValidator, { verbose_response: true, ...config })
  const exit = await requestValidator.access!(fakeExchange(request), state)
  if (exit === undefined) return null
  const said = exit.message ?? (JSON.parse(String(exit.body)) as { message: string }).message
  const allow = exit.headers.find(([name]) => name === 'Allow')
  return `${exit.status} ${said}${allow === undefined ? '' : ` (${allow[1]})`}`
}

const post = (path: string, body: object | string, type = 'application/json'): FakeExchangeOptions => ({
  method: 'POST',
  path,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  headers: { 'Content-Type': type },
})

const cases: readonly [request: FakeExchangeOptions, answer: string | null][] = [
  [{ path: '/v1/pets' }, null],
  [{ path: '/v1/pets?limit=100' }, null],
  [{ path: '/v1/pets?limit=101' }, "400 query 'limit' must be <= 100"],
  [{ path: '/v1/pets', method: 'HEAD' }, null],
  [{ path: '/pets' }, '404 no operation is described for this request'],
  [{ path: '/v1/pets/' }, '404 no operation is described for this request'],
  [{ path: '/v1/cats' }, '404 no operation is described for this request'],
  [{ path: '/v1/pets', method: 'PUT' }, '405 no operation is described for this request (GET, HEAD, POST)'],
  [{ path: '/v1/pets/mine' }, null],
  [{ path: '/v1/pets/7' }, null],
  [{ path: '/v1/pets/7', method: 'DELETE' }, null],
  [{ path: '/v1/pets/0' }, "400 path 'id' must be >= 1"],
  [{ path: '/v1/pets/x' }, "400 path 'id' must be integer"],
  [{ path: '/v1/pets/7?q={"x":1}' }, null],
  [{ path: '/v1/pets/7?q={"y":1}' }, "400 query 'q' must have required property 'x'"],
  [{ path: '/v1/pets/7?q={' }, "400 query 'q' is not JSON"],
  [{ path: '/v1/pets/7/photo.png' }, null],
  [{ path: '/v1/pets/7/photo.gif' }, '400 path \'format\' must be one of ["png","jpg"]'],
  [{ path: '/v1/pets/7/photo.' }, '404 no operation is described for this request'],
  [post('/v1/pets', { name: 'a' }), null],
  [post('/v1/pets', { name: 'a', parent: { name: 'b', parent: { name: 'c' } } }), null],
  [
    post('/v1/pets', { name: 'a', parent: { name: 'b', parent: {} } }),
    "400 request body /parent/parent must have required property 'name'",
  ],
  [post('/v1/pets', { name: 'a', x: 1 }), '400 request body must NOT have the property "x"'],
  [post('/v1/pets?limit=x', { name: 'a' }), "400 query 'limit' must be integer"],
  [post('/v1/pets', 'name=a', 'application/x-www-form-urlencoded'), '400 specified Content-Type is not allowed'],
  [{ method: 'POST', path: '/v1/pets' }, '400 request body is required'],
  [{ method: 'DELETE', path: '/v1/pets/7', body: 'x' }, '400 request body is not expected'],
  [post('/v1/forms', 'age=7&tags=a&tags=b', 'application/x-www-form-urlencoded'), null],
  [post('/v1/forms', 'age=x', 'application/x-www-form-urlencoded'), '400 request body /age must be integer'],
  [post('/v1/forms', 'age=1&age=2', 'application/x-www-form-urlencoded'), '400 request body /age has several values'],
  [
    post('/v1/forms', 'age=1&b=2', 'application/x-www-form-urlencoded'),
    '400 request body must NOT have the property "b"',
  ],
  [post('/v1/forms', 'bytes', 'image/png'), null],
  [post('/v1/forms', 'bytes', 'text/plain'), '400 specified Content-Type is not allowed'],
]
for (const [request, answer] of cases) {
  test(`${request.method ?? 'GET'} ${request.path} ${JSON.stringify(request.body ?? '')}: ${answer ?? 'passes'}`, async () => {
    assert.equal(await answerTo({ openapi: JSON.stringify(PETS) }, request), answer)
  })
}

test('what no operation describes passes where it may', async () => {
  const config = { openapi: JSON.stringify(PETS), openapi_unknown: 'pass' }
  assert.equal(await answerTo(config, { path: '/cats' }), null)
  assert.equal(await answerTo(config, { path: '/v1/pets/0' }), "400 path 'id' must be >= 1")
})

test('the base path may be given', async () => {
  const config = { openapi: JSON.stringify(PETS), openapi_base_path: '/shop/' }
  assert.equal(await answerTo(config, { path: '/shop/pets/7' }), null)
  assert.match((await answerTo(config, { path: '/v1/pets/7' })) ?? '', /^404/)
})

test('a document in YAML, with the bounds and nulls of 3.0', async () => {
  const openapi = `
openapi: 3.0.3
paths:
  /a:
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                id: { type: string, nullable: true, example: { id: x } }
                n: { type: number, minimum: 0, exclusiveMinimum: true }
`
  assert.equal(await answerTo({ openapi }, post('/a', { id: null, n: 1 })), null)
  assert.equal(await answerTo({ openapi }, post('/a', { n: 0 })), '400 request body /n must be > 0')
  assert.equal(await answerTo({ openapi }, post('/a', { id: 1 })), '400 request body /id must be string,null')
})

const schemaOf = (schema: object) => ({
  openapi: '3.1.0',
  paths: { '/a': { post: { requestBody: { content: { 'application/json': { schema } } } } } },
})
const AT = '/paths/~1a/post/requestBody/content/application~1json/schema'
const refused: readonly [document: object | string, message: string | RegExp][] = [
  ['- a', 'expected an object'],
  ['{', /./],
  [{ swagger: '2.0' }, '/swagger: expected OpenAPI 3.0 or 3.1, got Swagger'],
  [{ openapi: '2.0' }, '/openapi: expected 3.0 or 3.1'],
  [{ openapi: '3.1.0' }, '/paths: expected an object'],
  [
    schemaOf({ $ref: 'https://example.com/pet.json' }),
    `${AT}: expected a reference into this document (#/…), got "https://example.com/pet.json"`,
  ],
  [schemaOf({ $ref: '#/components/schemas/Pet' }), `${AT}: #/components/schemas/Pet leads nowhere`],
  [schemaOf({ type: 'text' }), new RegExp(`^${AT}: schema is invalid`)],
  [schemaOf({ pattern: '(?=a)' }), new RegExp(`^${AT}/pattern: pattern`)],
  [schemaOf({ patternProperties: { '(?=a)': {} } }), new RegExp(`^${AT}/patternProperties: pattern`)],
  [schemaOf({ $async: true }), `${AT}/$async: is not supported`],
  [
    {
      ...schemaOf({ $ref: '#/components/schemas/A' }),
      components: { schemas: { A: { $ref: '#/components/schemas/B' }, B: { $ref: '#/components/schemas/A' } } },
    },
    '/components/schemas/A: the reference leads in a circle',
  ],
  [
    { ...schemaOf({ $ref: '#/components/schemas/A' }), components: { schemas: { A: { minimum: 'x' } } } },
    /^\/components: schema is invalid: data\/.*A\/minimum must be number/,
  ],
  [
    { openapi: '3.1.0', paths: { '/{a}{b}': { get: {} } } },
    '/paths/~1{a}{b}: expected at most one {parameter} in a segment, got {a}{b}',
  ],
  [{ openapi: '3.1.0', paths: { '/{a}': {}, '/{b}': {} } }, '/paths/~1{b}: another path matches the same requests'],
  [
    { openapi: '3.1.0', paths: { '/a': { get: { parameters: [{ name: 'x', in: 'body' }] } } } },
    '/paths/~1a/get/parameters/0/in: expected one of path, query, header, cookie',
  ],
  [
    {
      openapi: '3.1.0',
      paths: { '/a': { get: { parameters: [{ $ref: '#/x' }] } } },
      x: { $ref: '#/y' },
      y: { $ref: '#/x' },
    },
    '/paths/~1a/get/parameters/0: the reference leads in a circle',
  ],
]
for (const [document, message] of refused) {
  test(`refuses ${JSON.stringify(document).slice(0, 100)}`, () => {
    const openapi = typeof document === 'string' ? document : JSON.stringify(document)
    assert.throws(
      () => prepare(requestValidator, { openapi }),
      (error: Error & { field?: string }) => {
        assert.equal(error.field, 'openapi')
        const told = error.message.replace('request-validator: config.openapi: ', '')
        if (typeof message === 'string') assert.equal(told, message)
        else assert.match(told, message)
        return true
      },
    )
  })
}
