import assert from 'node:assert/strict'
import { test } from 'node:test'
import { completeConfig, fakeExchange, type FakeExchangeOptions } from '#pdk/testing'
import { eventOf, needsBody } from './event.ts'
import { awsLambda } from './plugin.ts'

function event(config: object, options: FakeExchangeOptions = {}, body: string | Buffer | null = null) {
  const complete = completeConfig(awsLambda, { function_name: 'f', aws_region: 'us-east-1', ...config })
  const exchange = fakeExchange({ method: 'POST', headers: { Host: 'a.b.example' }, ...options })
  return JSON.parse(eventOf(exchange, complete, body === null ? null : Buffer.from(body))) as Record<string, any>
}
const json = { headers: { 'Content-Type': 'application/json' } }
const form = { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }

test('without wishes: arguments of the query and of the body together', () => {
  assert.deepEqual(event({}, { path: '/x?a=1&b=2&b=3&c', ...json }, '{"a":7,"d":[]}'), {
    a: 7,
    b: ['2', '3'],
    c: true,
    d: [],
  })
  assert.deepEqual(event({}, { path: '/x?a=1', ...form }, 'b=%C3%BC'), { a: '1', b: 'ü' })
  assert.deepEqual(event({}, { path: '/x?a=1', ...json }, 'no JSON'), { a: '1' })
  const polluted = event({}, { path: '/x?__proto__=1&constructor=2' })
  assert.deepEqual(Object.entries(polluted), [
    ['__proto__', '1'],
    ['constructor', '2'],
  ])
})

test('what is wished for, and nothing else', () => {
  const options = { path: '/x?a=1', headers: { Host: 'h', 'X-A': ['1', '2'] } }
  assert.deepEqual(event({ forward_request_method: true }, options), { request_method: 'POST' })
  assert.deepEqual(event({ forward_request_uri: true }, options), {
    request_uri: '/x?a=1',
    request_uri_args: { a: '1' },
  })
  assert.deepEqual(event({ forward_request_headers: true }, options), {
    request_headers: { host: 'h', 'x-a': ['1', '2'] },
  })
})

test('bodies: as text with their fields, as text, or in base64', () => {
  const forwarded = (type: string | null, body: string | Buffer | null, more: object = {}) =>
    event({ forward_request_body: true, ...more }, type === null ? {} : { headers: { 'Content-Type': type } }, body)
  assert.deepEqual(forwarded('application/json', '{"a":1}'), { request_body: '{"a":1}', request_body_args: { a: 1 } })
  assert.deepEqual(forwarded('application/json', 'broken'), { request_body: 'broken' })
  assert.deepEqual(forwarded('text/plain', 'a'), { request_body: 'a', request_body_args: {} })
  const bytes = Buffer.from([0, 255])
  const encoded = { request_body: 'AP8=', request_body_args: {}, request_body_base64: true }
  for (const type of ['image/png', 'text/plain; charset=utf-8', null]) assert.deepEqual(forwarded(type, bytes), encoded)
  assert.deepEqual(forwarded('image/png', 'a', { base64_encode_body: false }), {
    request_body: 'a',
    request_body_args: {},
  })
  assert.deepEqual(forwarded('application/json', null), {})
})

test('the event of an API gateway', () => {
  const made = event(
    { awsgateway_compatible: true },
    {
      path: '/v1/orders/7?a=1&a=2&b',
      headers: { Host: 'api.shop.example:8000', 'X-A': ['1', '2'], 'User-Agent': 'curl/8' },
      captures: { named: { id: '7' }, unnamed: ['7'] },
      clientIp: '10.0.0.1',
      id: 'f'.repeat(32),
    },
    'text',
  )
  assert.deepEqual(made, {
    version: '1.0',
    resource: null,
    path: '/v1/orders/7',
    httpMethod: 'POST',
    headers: { host: 'api.shop.example:8000', 'x-a': '1', 'user-agent': 'curl/8' },
    multiValueHeaders: { host: ['api.shop.example:8000'], 'x-a': ['1', '2'], 'user-agent': ['curl/8'] },
    pathParameters: { id: '7' },
    queryStringParameters: { a: '1', b: true },
    multiValueQueryStringParameters: { a: ['1', '2'], b: [true] },
    body: 'dGV4dA==',
    isBase64Encoded: true,
    requestContext: {
      path: '/v1/orders/7',
      protocol: 'HTTP/1.1',
      httpMethod: 'POST',
      domainName: 'api.shop.example',
      domainPrefix: 'api',
      identity: { sourceIp: '10.0.0.1', userAgent: 'curl/8' },
      requestId: 'f'.repeat(32),
      requestTime: '01/Jan/2030:00:00:00 +0000',
      requestTimeEpoch: Date.parse('2030-01-01T00:00:00Z'),
      resourcePath: '/v1/orders/7',
    },
  })
  const plain = event({ awsgateway_compatible: true, base64_encode_body: false }, {}, 'text')
  assert.deepEqual([plain['body'], plain['isBase64Encoded']], ['text', false])
})

test('bodies are read only where they go along', () => {
  const cases: [object, boolean][] = [
    [{}, true],
    [{ forward_request_uri: true }, false],
    [{ forward_request_uri: true, forward_request_body: true }, true],
    [{ forward_request_uri: true, awsgateway_compatible: true }, true],
  ]
  for (const [config, isNeeded] of cases)
    assert.equal(needsBody(completeConfig(awsLambda, { function_name: 'f', aws_region: 'r', ...config })), isNeeded)
})
