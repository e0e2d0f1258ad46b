import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorBody } from './error-body.ts'

const typeFor = (accept: string | null, fallback = 'application/json') =>
  errorBody(404, 'Not found', 'id', accept, fallback).contentType.split(';')[0]

for (const [accept, expected] of [
  ['application/json', 'application/json'],
  ['text/html', 'text/html'],
  ['text/plain', 'text/plain'],
  ['application/xml', 'application/xml'],
  ['application/problem+json', 'application/problem+json'],
  ['application/grpc', 'application/grpc'],
  ['*/*', 'application/json'],
  ['text/*', 'text/html'],
  ['text/html,application/xml;q=0.9,*/*;q=0.8', 'text/html'],
  ['text/plain;q=0.5, application/xml;q=0.7', 'application/xml'],
  ['text/plain;q=0, application/xml;q=0.1', 'application/xml'],
  ['text/plain;charset=utf-8', 'text/plain'],
  ['image/png, text/plain', 'text/plain'],
] as const) {
  test(`a client that accepts ${accept} gets ${expected}`, () => assert.equal(typeFor(accept), expected))
}

test('a client that says nothing of what it accepts gets the fallback, or JSON when that is unknown', () => {
  assert.equal(typeFor(null, 'text/plain'), 'text/plain')
  assert.equal(typeFor(null, 'image/png'), 'application/json')
})

for (const accept of ['', 'image/png', 'text/plain;q=0', ',;,', ';;q=1']) {
  test(`a client that accepts nothing known gets JSON: ${JSON.stringify(accept)}`, () =>
    assert.equal(typeFor(accept, 'text/plain'), 'application/json'))
}

for (const accept of ['constructor', '__proto__', 'toString', 'hasOwnProperty;q=1', 'text/plain, constructor;q=2']) {
  test(`names that every object answers to are no media types: ${accept}`, () => {
    const { contentType, body } = errorBody(404, 'Not found', 'id', accept, 'application/json')
    assert.equal(typeof body, 'string')
    assert.match(contentType, /^(application\/json|text\/plain);/)
  })
}

test('every form carries the message and the request’s id, escaped as the form wants it', () => {
  const message = 'a "quoted" <b>&'
  for (const accept of ['application/json', 'application/problem+json', 'text/html', 'text/plain', 'application/xml']) {
    const { body } = errorBody(502, message, 'the-id', accept, '')
    assert.match(body, /the-id/)
    if (accept.includes('json')) {
      const parsed = JSON.parse(body) as { message?: string; title?: string }
      assert.equal(parsed.message ?? parsed.title, message)
    } else if (accept === 'text/plain') assert.ok(body.includes(message))
    else assert.ok(body.includes('a &quot;quoted&quot; &lt;b&gt;&amp;'), body)
  }
  assert.deepEqual(JSON.parse(errorBody(502, message, 'i', 'application/problem+json', '').body), {
    type: 'about:blank',
    title: message,
    status: 502,
    instance: 'urn:request:i',
  })
})
