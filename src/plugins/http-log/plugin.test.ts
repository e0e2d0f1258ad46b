import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare } from '#pdk/testing'
import { httpLog } from './plugin.ts'

test('an entry is the record as JSON, and the queue has the parameters of the configuration', () => {
  const delivery = new FakeDelivery()
  const state = prepare(httpLog, { http_endpoint: 'http://127.0.0.1:9/' }, { delivery })
  httpLog.log?.(fakeExchange({ path: '/a?x=1', response: { status: 200 } }), state)
  const { entries, options } = delivery.queues[0]!
  assert.equal(JSON.parse(entries[0] as string).request.uri, '/a?x=1')
  assert.deepEqual([options.parameters.maxBatchSize, options.parameters.concurrency], [1, 1])
  httpLog.close?.(state)
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: string])[] = [
    [{ http_endpoint: null }, 'http_endpoint'],
    [{ http_endpoint: 'nowhere' }, 'http_endpoint'],
    [{ method: 'GET' }, 'method'],
    [{ content_type: 'text/plain' }, 'content_type'],
    [{ headers: { Host: 'a' } }, 'headers'],
    [{ headers: { 'Content-Type': 'a' } }, 'headers'],
    [{ timeout: 'x' }, 'timeout'],
    [{ queue: { max_batch_size: 0 } }, 'queue.max_batch_size'],
    [{ custom_fields: { a: '$(nothing)' } }, 'custom_fields'],
    [{ custom_fields: { '': 'x' } }, 'custom_fields'],
    [{ custom_fields_by_lua: { a: 'return 1' } }, 'custom_fields_by_lua'],
  ]
  for (const [config, field] of wrong)
    assert.throws(
      () => prepare(httpLog, { http_endpoint: 'http://127.0.0.1:9/', ...config }),
      { code: 'CONFIG_INVALID', field },
      JSON.stringify(config),
    )
})
