import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientFailure, upstreamFailure } from '#http/failure.ts'
import { mayRetry } from './retry.ts'

const refused = upstreamFailure('CONNECT_FAILED', 502, true, '')
const METHODS = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'POST', 'PATCH', 'LOCK']

test('a request of which nothing was sent may go elsewhere, whatever its method', () => {
  for (const method of METHODS) assert.equal(mayRetry(refused, method, false), true, method)
})

test('one that was sent may go elsewhere unless its method is not idempotent', () => {
  for (const method of METHODS)
    assert.equal(mayRetry(refused, method, true), !['POST', 'PATCH', 'LOCK'].includes(method), method)
})

test('what is not retryable from where it is known never is', () => {
  assert.equal(mayRetry(upstreamFailure('BAD_CHUNK', 502, false, ''), 'GET', false), false)
  assert.equal(mayRetry(clientFailure('CLIENT_ABORTED', 499, ''), 'GET', false), false)
})
