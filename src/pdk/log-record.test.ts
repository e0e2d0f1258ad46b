import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logRecords } from './log-record.ts'
import { fakeExchange, FakeDelivery, prepare } from './testing.ts'
import { tcpLog } from '#plugins/tcp-log/plugin.ts'

const exchange = () =>
  fakeExchange({
    path: '/a?x=1',
    headers: { 'X-Tenant': 'blue', Authorization: 'Basic x' },
    route: { id: 'r', name: 'route', paths: ['/a'] },
    response: { status: 201 },
    captures: { named: { id: '7' }, unnamed: [] },
  })

function record(custom: Record<string, string>, delivery = new FakeDelivery(), given = exchange()): any {
  return JSON.parse(JSON.stringify(logRecords(custom, delivery)(given)))
}

test('custom fields are templates over the record, headers and captures; a single expression keeps its type', () => {
  const got = record({
    tenant: '$(headers.x_tenant)',
    'extra.status': '$(response.status)',
    'extra.what': '$(request.method) $(uri_captures.id)',
    'request.note': 'fixed',
  })
  assert.equal(got.tenant, 'blue')
  assert.deepEqual(got.extra, { status: 201, what: 'GET 7' })
  assert.equal(got.request.note, 'fixed')
  assert.equal(got.request.method, 'GET')
})

test('a field without a value is left out, and one that Kong has goes with an empty text', () => {
  const given = exchange()
  const got = record({ user: '$(consumer.username)', route: '', 'request.headers.x-tenant': '' }, undefined, given)
  assert.ok(!('user' in got) && !('route' in got) && !('x-tenant' in got.request.headers))
  assert.equal(given.route?.name, 'route')
  assert.equal(given.request.headers.get('x-tenant'), 'blue')
})

test('templates see what is hidden as hidden, and what they take from elsewhere is looked at, too', () => {
  const delivery = new FakeDelivery({ log_mask_patterns: ['card'] })
  const given = exchange()
  given.shared.set('card', '4111111111111111')
  const got = record({ auth: '$(headers.authorization)', card: '$(shared.card)' }, delivery, given)
  assert.deepEqual([got.auth, got.card], ['REDACTED', 'REDACTED'])
})

test('names that the record never has are refused where they are written, and Lua with the way to move', () => {
  const place = { host: 'localhost', port: 1 }
  assert.throws(() => prepare(tcpLog, { ...place, custom_fields: { a: '$(requests.uri)' } }), {
    code: 'CONFIG_INVALID',
    message: /custom_fields.*expected names of the log record .*got 'requests'/,
  })
  assert.throws(() => prepare(tcpLog, { ...place, custom_fields: { a: '$(f())' } }), /function calls are not available/)
  assert.throws(
    () => prepare(tcpLog, { ...place, custom_fields_by_lua: { a: 'return 1' } }),
    /custom_fields_by_lua.*use custom_fields/,
  )
})

test('a field named like a part of every object is only a field', () => {
  const got = record({ '__proto__.polluted': 'yes', constructor: 'c' })
  assert.equal(Object.getOwnPropertyDescriptor(got, 'constructor')?.value, 'c')
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})
