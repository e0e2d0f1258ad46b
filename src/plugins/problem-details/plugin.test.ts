import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import type { Exchange } from '#pdk'
import { negotiate } from './negotiate.ts'
import { detailIn, render } from './problem.ts'
import { problemDetails } from './plugin.ts'

type State = ReturnType<typeof prepare<typeof problemDetails.schema, any>>

/** Head and body as the client gets them; null for a body that is left alone. */
function finish(exchange: Exchange, config: object, body: string) {
  const state = prepare(problemDetails, config) as State
  problemDetails.responseHeaders!(exchange, state)
  const transform = problemDetails.responseBody!(exchange, state)
  const parts = [transform?.chunk(Buffer.from(body)), transform?.end()].filter((part) => part != null)
  return {
    status: exchange.response.status,
    headers: headersOf(exchange.response.headers),
    text: transform === null ? null : Buffer.concat(parts).toString(),
  }
}

function ofUpstream(
  config: object,
  status: number,
  headers: Record<string, string>,
  body: string,
  options: FakeExchangeOptions = {},
) {
  const exchange = fakeExchange({ ...options, response: { status, headers } })
  exchange.upstreamStatus = status
  return finish(exchange, config, body)
}

function ofGateway(
  config: object,
  made: Partial<NonNullable<Exchange['response']['made']>>,
  options: FakeExchangeOptions = {},
) {
  const contentType = made.contentType ?? 'application/json; charset=utf-8'
  const exchange = fakeExchange({ ...options, response: { status: 429, headers: { 'Content-Type': contentType } } })
  exchange.response.source = 'exit'
  exchange.response.made = { message: null, body: null, contentType, stored: null, ...made }
  return finish(exchange, config, '{"message":"x"}')
}

const PROBLEM = 'application/problem+json; charset=utf-8'
const INSTANCE = 'urn:request:0123456789abcdef0123456789abcdef'
const HTML = { 'Content-Type': 'text/html', 'Content-Encoding': 'gzip', ETag: '"a"', 'Retry-After': '5' }

test("the gateway's own errors, by the title of their status", () => {
  const wanted = {
    type: 'about:blank',
    title: 'Too Many Requests',
    status: 429,
    instance: INSTANCE,
    detail: 'slow down',
  }
  for (const made of [{ message: 'slow down' }, { body: '{"message":"slow down"}' }]) {
    const { text, headers } = ofGateway({}, made)
    assert.deepEqual(JSON.parse(text!), wanted)
    assert.equal(headers['content-type'], PROBLEM)
  }
})

test('types, titles, details and members of the operator', () => {
  const config = {
    type_base: 'https://docs.example/problems/',
    problems: { '429': { title: 'Too fast' }, '4xx': { type: 'https://docs.example/client' } },
    members: { support: 'help@example.com' },
  }
  assert.deepEqual(JSON.parse(ofGateway(config, { message: 'x' }).text!), {
    type: 'https://docs.example/problems/429',
    title: 'Too fast',
    status: 429,
    instance: INSTANCE,
    detail: 'x',
    support: 'help@example.com',
  })
  const { text } = ofUpstream({ ...config, upstream_client_errors: 'hide' }, 404, HTML, 'secret')
  assert.partialDeepStrictEqual(JSON.parse(text!), { type: 'https://docs.example/client', title: 'Not Found' })
})

const left: readonly [name: string, config: object, made: object, options: FakeExchangeOptions][] = [
  ['where that is off', { gateway_errors: false }, { message: 'x' }, {}],
  ['where the client wants a page', {}, { message: 'x' }, { headers: { Accept: 'text/html' } }],
  ["a plugin's own text", {}, { body: '<p>', contentType: 'text/html' }, {}],
  ["a plugin's own JSON", {}, { body: '{"error":"invalid_client"}' }, {}],
  ['an answer without a body', {}, {}, {}],
  ['a call of gRPC', {}, { message: 'x' }, { headers: { 'Content-Type': 'application/grpc+proto' } }],
]
for (const [name, config, made, options] of left) {
  test(`leaves as it is: ${name}`, () => assert.equal(ofGateway(config, made, options).text, null))
}

test('an error of the upstream stays as it is, unless it is to be another', () => {
  assert.deepEqual(ofUpstream({}, 500, HTML, 'secret').text, null)
  assert.equal(ofUpstream({ upstream_server_errors: 'hide' }, 404, HTML, 'page').text, null)
  assert.equal(ofUpstream({ upstream_server_errors: 'hide' }, 200, HTML, 'page').text, null)
})

test('nothing of a hidden error is left but what steers clients', () => {
  const { status, headers, text } = ofUpstream({ upstream_server_errors: 'hide' }, 503, HTML, 'stack trace')
  assert.equal(status, 503)
  assert.deepEqual(headers, { 'content-type': PROBLEM, 'retry-after': '5' })
  assert.deepEqual(JSON.parse(text!), {
    type: 'about:blank',
    title: 'Service Unavailable',
    status: 503,
    instance: INSTANCE,
  })
})

test('a hidden error is hidden also from who wants a page, or gets it from a cache', () => {
  const config = { upstream_server_errors: 'hide' }
  const page = ofUpstream(config, 500, HTML, 'secret', { headers: { Accept: 'text/html' } })
  assert.ok(!page.text!.includes('secret'))
  const exchange = fakeExchange({ response: { status: 500, headers: HTML } })
  exchange.response.source = 'exit'
  const { headers } = exchange.response
  exchange.response.made = { message: null, body: Buffer.from('secret'), contentType: null, stored: headers }
  assert.ok(!finish(exchange, config, 'secret').text!.includes('secret'))
})

test('a converted error keeps what it says', () => {
  const config = { upstream_client_errors: 'convert' }
  const json = { 'Content-Type': 'application/json' }
  const detailOf = (headers: Record<string, string>, body: string) =>
    (JSON.parse(ofUpstream(config, 422, headers, body).text!) as { detail?: string }).detail
  assert.equal(detailOf(json, '{"error":"no such size"}'), 'no such size')
  assert.equal(detailOf(json, '{"message":"a","detail":"b"}'), 'b')
  assert.equal(detailOf(json, '{"error":{"code":1}}'), undefined)
  assert.equal(detailOf(json, '{'), undefined)
  assert.equal(detailOf(json, ''), undefined)
  assert.equal(detailOf({ 'Content-Type': 'text/html' }, '<p>no'), undefined)
  assert.equal(detailOf(json, JSON.stringify({ message: 'x'.repeat(70_000) })), undefined)
  const own = { 'Content-Type': 'application/problem+json' }
  assert.equal(ofUpstream(config, 422, own, '{"title":"mine"}').text, null)
})

test('statuses of the upstream become others, and its bodies go by what it answered', () => {
  const config = { status_map: { '500': 502, '4xx': 404 }, upstream_server_errors: 'hide' }
  assert.equal(ofUpstream(config, 403, HTML, 'x').status, 404)
  assert.equal(ofUpstream(config, 201, HTML, 'x').status, 201)
  const { status, text } = ofUpstream({ ...config, status_map: { '5xx': 404 } }, 500, HTML, 'secret')
  assert.equal(status, 404)
  assert.partialDeepStrictEqual(JSON.parse(text!), { status: 404, title: 'Not Found' })
  assert.equal(ofGateway({ status_map: { '429': 503 } }, { message: 'x' }).status, 429)
})

test('the form follows Accept', () => {
  const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
  const cases: [accept: string | null, form: string | null][] = [
    [null, 'json'],
    ['', 'json'],
    ['*/*', 'json'],
    ['application/json', 'json'],
    ['application/problem+json', 'json'],
    ['application/xml', 'xml'],
    ['application/problem+xml;q=0.9, application/json;q=0.5', 'xml'],
    ['application/json;q=0, text/plain', null],
    ['*/*, text/html', null],
    ['text/html, */*', null],
    ['APPLICATION/JSON', 'json'],
    [';;;,,', null],
    [BROWSER, null],
  ]
  for (const [accept, form] of cases) assert.equal(negotiate(accept), form, String(accept))
})

test('XML has nothing in it that is no XML', () => {
  const problem = {
    type: 'about:blank',
    title: 'a<b',
    status: 400,
    detail: 'x\u0000&\ud800',
    instance: 'i',
    extensions: [],
  }
  assert.equal(
    render('xml', problem).toString(),
    '<?xml version="1.0" encoding="UTF-8"?>\n<problem xmlns="urn:ietf:rfc:7807">\n  <type>about:blank</type>\n' +
      '  <title>a&lt;b</title>\n  <status>400</status>\n  <instance>i</instance>\n  <detail>x?&amp;?</detail>\n</problem>\n',
  )
  assert.equal(detailIn('{"__proto__":{"message":"x"}}'), null)
})

const refused: readonly [config: object, field: string, message: RegExp][] = [
  [{ upstream_server_errors: 'drop' }, 'upstream_server_errors', /expected one of/],
  [{ status_map: { '200': 404 } }, 'status_map', /invalid value/],
  [{ status_map: { '404': 200 } }, 'status_map', /between 400 and 599/],
  [{ problems: { '6xx': {} } }, 'problems', /invalid value/],
  [{ type_base: 'problems' }, 'type_base', /./],
  [{ members: { status: '1' } }, 'members.status', /not of the standard/],
  [{ members: { 'a b': '1' } }, 'members', /invalid value/],
]
for (const [config, field, message] of refused) {
  test(`refuses ${JSON.stringify(config)}`, () => {
    assert.throws(
      () => prepare(problemDetails, config),
      (error: Error & { field?: string }) => {
        assert.equal(error.field, field)
        assert.match(error.message, message)
        return true
      },
    )
  })
}
