import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Exit } from '#pdk'
import { completeConfig, FakeBody, fakeExchange, prepare, sentBody, type FakeExchangeOptions } from '#pdk/testing'
import { standardWebhooks } from './plugin.ts'
import { isSigned, keyOf, parseTimestamp } from './signature.ts'

const SECRET = 'a shared secret'
const NOW = Date.parse('2030-01-01T00:00:00Z')
const SECONDS = String(NOW / 1000)
const BODY = '{"type":"order.paid"}'

const mac = (text: string, secret = SECRET) => `v1,${createHmac('sha256', secret).update(text).digest('base64')}`
const GOOD = mac(`msg_1.${SECONDS}.${BODY}`)

async function send(
  headers: Record<string, string | string[]>,
  options: FakeExchangeOptions = {},
  config: object = {},
) {
  const state = prepare(standardWebhooks, { secret_v1: SECRET, ...config })
  const sent = { 'Webhook-Id': 'msg_1', 'Webhook-Timestamp': SECONDS, 'Webhook-Signature': GOOD, ...headers }
  const exchange = fakeExchange({ method: 'POST', body: BODY, now: NOW, headers: sent, ...options })
  const exit = ((await standardWebhooks.access!(exchange, state)) as Exit | undefined) ?? null
  return { status: exit?.status ?? 200, message: exit?.message ?? null, exchange }
}

test('what is signed passes, with its body', async () => {
  const passed = await send({})
  assert.equal(passed.status, 200)
  assert.equal(sentBody(passed.exchange), BODY)
  const wrong = mac('something else')
  for (const signature of [`${wrong} ${GOOD}`, `v1a,xyz ${GOOD} v2,x`, [wrong, GOOD], `  ${GOOD}`])
    assert.equal((await send({ 'Webhook-Signature': signature })).status, 200, String(signature))
})

test('what is not signed is refused, whatever is wrong with it', async () => {
  const old = String(NOW / 1000 - 301)
  const early = String(NOW / 1000 + 301)
  const cases: Record<string, [Record<string, string | string[]>, FakeExchangeOptions?]> = {
    'no id': [{ 'Webhook-Id': '' }],
    'no time': [{ 'Webhook-Timestamp': '' }],
    'no signature': [{ 'Webhook-Signature': '' }],
    'another id': [{ 'Webhook-Id': 'msg_2' }],
    'another body': [{}, { body: `${BODY} ` }],
    'no body': [{ 'Webhook-Signature': mac(`msg_1.${SECONDS}.`) }, { body: null }],
    'an empty body': [{ 'Webhook-Signature': mac(`msg_1.${SECONDS}.`) }, { body: '' }],
    'another time': [{ 'Webhook-Timestamp': String(NOW / 1000 + 1) }],
    'too old': [{ 'Webhook-Timestamp': old, 'Webhook-Signature': mac(`msg_1.${old}.${BODY}`) }],
    'too early': [{ 'Webhook-Timestamp': early, 'Webhook-Signature': mac(`msg_1.${early}.${BODY}`) }],
    'another secret': [{ 'Webhook-Signature': mac(`msg_1.${SECONDS}.${BODY}`, 'guessed') }],
    'no version': [{ 'Webhook-Signature': GOOD.slice(3) }],
    'another version': [{ 'Webhook-Signature': GOOD.replace('v1,', 'v2,') }],
    'a cut signature': [{ 'Webhook-Signature': GOOD.slice(0, -1) }],
    'a longer signature': [{ 'Webhook-Signature': `${GOOD}=` }],
    'other separators': [{ 'Webhook-Signature': `x;${GOOD}` }],
  }
  for (const time of ['now', '-1', '1e9', '0x10', '1.5', ' ', '9'.repeat(30), 'NaN', 'Infinity'])
    cases[`the time '${time}'`] = [{ 'Webhook-Timestamp': time, 'Webhook-Signature': mac(`msg_1.${time}.${BODY}`) }]
  for (const [name, [headers, options]] of Object.entries(cases)) {
    const { status, message } = await send(headers, options)
    assert.deepEqual([status, message], [400, 'Bad request'], name)
  }
})

test('the tolerance goes both ways, and may be none', async () => {
  const at = async (offset: number, tolerance: number) => {
    const time = String(NOW / 1000 + offset)
    const signature = mac(`msg_1.${time}.${BODY}`)
    const headers = { 'Webhook-Timestamp': time, 'Webhook-Signature': signature }
    return (await send(headers, {}, { tolerance_second: tolerance })).status
  }
  assert.deepEqual(
    await Promise.all([at(-300, 300), at(300, 300), at(0, 0), at(-1, 0), at(1, 0)]),
    [200, 200, 200, 400, 400],
  )
})

test('bodies are read up to a bound, and from clients that stay', async () => {
  assert.equal((await send({}, { body: 'x'.repeat(1024 * 1024 + 1) })).status, 413)
  const exchange = fakeExchange({
    body: BODY,
    now: NOW,
    headers: { 'Webhook-Id': 'msg_1', 'Webhook-Timestamp': SECONDS, 'Webhook-Signature': GOOD },
  })
  ;(exchange.request.body as FakeBody).isAborted = true
  const exit = await standardWebhooks.access!(exchange, prepare(standardWebhooks, { secret_v1: SECRET }))
  assert.equal((exit as Exit).status, 400)
})

test('a secret as senders show it is the bytes that it encodes', async () => {
  const key = Buffer.from('0011223344556677', 'hex')
  assert.deepEqual(keyOf(`whsec_${key.toString('base64')}`), key)
  assert.deepEqual(keyOf('ABEiM0RVZnc='), Buffer.from('ABEiM0RVZnc='))
  for (const secret of ['whsec_', 'whsec_%%%', 'whsec_a b'])
    assert.throws(() => completeConfig(standardWebhooks, { secret_v1: secret }), { field: 'secret_v1' }, secret)
  const cases: [object, string][] = [
    [{}, 'secret_v1'],
    [{ secret_v1: 'x', tolerance_second: -1 }, 'tolerance_second'],
    [{ secret_v1: 'x', tolerance_second: 'long' }, 'tolerance_second'],
  ]
  for (const [config, field] of cases)
    assert.throws(() => completeConfig(standardWebhooks, config), { field }, JSON.stringify(config))
  // What a reference to a vault became that leads nowhere.
  const state = standardWebhooks.prepare({ secret_v1: '', tolerance_second: 300 }, null as never)
  const exchange = fakeExchange({
    body: BODY,
    now: NOW,
    headers: {
      'Webhook-Id': 'msg_1',
      'Webhook-Timestamp': SECONDS,
      'Webhook-Signature': mac(`msg_1.${SECONDS}.${BODY}`, ''),
    },
  })
  assert.equal(((await standardWebhooks.access!(exchange, state)) as Exit).status, 500)
})

test('no text makes a signature right, or the reader fail', () => {
  const key = Buffer.from(SECRET)
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (id, time, signatures) => {
      assert.equal(isSigned(key, id, time, Buffer.from(BODY), signatures), false)
      const seconds = parseTimestamp(time)
      assert.ok(seconds === null || Number.isSafeInteger(seconds))
    }),
  )
})
