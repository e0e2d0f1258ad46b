import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, prepare, sentBody, type FakeBody, type FakeExchangeOptions } from '#pdk/testing'
import { requestSizeLimiting } from './plugin.ts'

async function run(config: object, request: FakeExchangeOptions) {
  const exchange = fakeExchange({ method: 'POST', ...request })
  const exit = (await requestSizeLimiting.access!(exchange, prepare(requestSizeLimiting, config))) ?? null
  return { exit, exchange, limitBytes: (exchange.request.body as FakeBody).limitBytes }
}
const announced = (bytes: number, headers: Readonly<Record<string, string>> = {}): FakeExchangeOptions => ({
  headers: { 'Content-Length': String(bytes), ...headers },
  body: 'x',
})

const UNITS = [
  ['bytes', 1],
  ['kilobytes', 1024],
  ['megabytes', 1_048_576],
] as const
for (const [unit, unitBytes] of UNITS) {
  test(`refuses what announces more than 3 ${unit}`, async () => {
    const config = { allowed_payload_size: 3, size_unit: unit }
    assert.equal((await run(config, announced(3 * unitBytes))).exit, null)
    assert.partialDeepStrictEqual((await run(config, announced(3 * unitBytes + 1))).exit, {
      status: 413,
      message: 'Request size limit exceeded',
    })
  })
}

test('allows 128 megabytes by default', async () => {
  assert.equal((await run({}, announced(128 << 20))).exit, null)
  assert.equal((await run({}, announced((128 << 20) + 1))).exit?.status, 413)
})

test('answers 417 to a client that asks before it sends', async () => {
  const config = { allowed_payload_size: 3, size_unit: 'bytes' }
  assert.equal((await run(config, announced(4, { Expect: ' 100-Continue' }))).exit?.status, 417)
})

test('measures a body of unknown length', async () => {
  const config = { allowed_payload_size: 3, size_unit: 'bytes' }
  const passed = await run(config, { body: 'abc' })
  assert.equal(passed.exit, null)
  assert.equal(sentBody(passed.exchange), 'abc')
  assert.equal((await run(config, { body: 'abcd' })).exit?.status, 413)
})

test('limits a body of unknown length while it streams where the limit is high or nothing may be held', async () => {
  assert.equal((await run({ allowed_payload_size: 1 }, { body: 'abc' })).limitBytes, 1 << 20)
  const config = { allowed_payload_size: 3, size_unit: 'bytes' }
  assert.equal((await run(config, { body: 'abcd', route: { request_buffering: false } })).limitBytes, 3)
})

test('asks for a length only when told to, and never of what is chunked', async () => {
  const config = { require_content_length: true }
  assert.partialDeepStrictEqual((await run(config, { method: 'GET' })).exit, {
    status: 411,
    message: 'A valid Content-Length header is required',
  })
  assert.equal((await run({}, {})).exit, null)
  assert.equal((await run(config, { body: 'abc' })).exit, null)
  assert.equal((await run(config, announced(0))).exit, null)
})

test('a config with an unknown unit names the field', () => {
  assert.throws(() => prepare(requestSizeLimiting, { size_unit: 'gigabytes' }), {
    code: 'CONFIG_INVALID',
    field: 'size_unit',
  })
})
