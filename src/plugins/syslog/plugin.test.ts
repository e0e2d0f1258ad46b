import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare } from '#pdk/testing'
import { syslogMessage } from './message.ts'
import { syslog } from './plugin.ts'

const AT_MS = new Date(2026, 10, 8, 9, 7, 5).getTime()

test('messages have the forms of RFC 3164 and RFC 5424', () => {
  const form = { facility: 'local7', processId: 12 } as const
  assert.equal(
    syslogMessage({ ...form, format: 'rfc3164', hostname: null }, 6, AT_MS, '{}'),
    '<190>Nov  8 09:07:05 kong[12]: {}',
  )
  assert.equal(
    syslogMessage({ ...form, format: 'rfc3164', hostname: 'gw' }, 3, AT_MS, '{}'),
    '<187>Nov  8 09:07:05 gw kong[12]: {}',
  )
  assert.equal(
    syslogMessage({ ...form, format: 'rfc5424', hostname: 'gw' }, 6, AT_MS, '{}'),
    `<190>1 ${new Date(AT_MS).toISOString()} gw kong 12 - - {}`,
  )
})

test('the severity follows the status, and what is less severe than the level is not sent', () => {
  const delivery = new FakeDelivery()
  const config = {
    log_level: 'warning',
    successful_severity: 'info',
    client_errors_severity: 'warning',
    server_errors_severity: 'crit',
    facility: 'kern',
  }
  const state = prepare(syslog, config, { delivery })
  for (const status of [200, 302, 404, 499, 500, 503]) syslog.log?.(fakeExchange({ response: { status } }), state)
  const entries = delivery.queues[0]!.entries as { priority: number; text: string }[]
  assert.deepEqual(
    entries.map(({ priority, text }) => [priority, JSON.parse(text).response.status]),
    [
      [4, 404],
      [4, 499],
      [2, 500],
      [2, 503],
    ],
  )
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: string])[] = [
    [{ facility: 'local8' }, 'facility'],
    [{ log_level: 'warn' }, 'log_level'],
    [{ transport: 'udp' }, 'host'],
    [{ host: '127.0.0.1' }, 'host'],
    [{ transport: 'tcp', host: '127.0.0.1', socket: '/dev/log' }, 'socket'],
    [{ transport: 'http', host: '127.0.0.1' }, 'transport'],
    [{ socket: 'dev/log' }, 'socket'],
    [{ transport: 'udp', host: '127.0.0.1', port: 70_000 }, 'port'],
  ]
  for (const [config, field] of wrong) assert.throws(() => prepare(syslog, config), { field }, JSON.stringify(config))
})
