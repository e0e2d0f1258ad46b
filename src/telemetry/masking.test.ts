import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { maskedExchange } from './masked-exchange.ts'
import { Masking, type MaskingSettings } from './masking.ts'
import { compileRedaction, type SensitivePattern } from './sensitive-text.ts'
import { serializeExchange } from './serializer.ts'
import { fakeExchange } from '#pdk/testing'

function masking(settings: Partial<MaskingSettings> = {}): Masking {
  return new Masking({
    log_mask_headers: [],
    log_mask_arguments: [],
    log_mask_fields: [],
    log_mask_patterns: [],
    log_mask_regex: null,
    ...settings,
  })
}

const redact = (pattern: SensitivePattern, text: string) => compileRedaction([pattern], null)!(text)

const CARD = '4111111111111111'

test('numbers of cards are found by their sum, in the forms in which people write them', () => {
  for (const hidden of [CARD, '4111 1111 1111 1111', '4111-1111-1111-1111', '378282246310005', '3782 822463 10005'])
    assert.equal(redact('card', `a=${hidden};`), 'a=REDACTED;', hidden)
})

test('numbers that are no cards are left as they are', () => {
  for (const shown of [
    '4111111111111112',
    '0000000000000000',
    '12345678901',
    `${CARD}${CARD}`,
    '1700000000000',
    // A UUID of nothing but digits.
    '41111111-1111-4111-8111-111111111111',
  ])
    assert.equal(redact('card', shown), shown, shown)
})

test('account numbers, addresses and tokens are found', () => {
  assert.equal(redact('iban', 'to DE89 3704 0044 0532 0130 00.'), 'to REDACTED.')
  assert.equal(redact('iban', 'to DE89370400440532013000.'), 'to REDACTED.')
  assert.equal(redact('iban', 'to DE88370400440532013000.'), 'to DE88370400440532013000.')
  assert.equal(redact('email', 'ann+x@mail.example.org wrote'), 'REDACTED wrote')
  assert.equal(redact('email', '/u/ann%40mail.example.org/x'), '/u/REDACTED/x')
  assert.equal(redact('jwt', 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln'), 'Bearer REDACTED')
})

test('any number that adds up is hidden wherever it stands, and no text holds the search up', () => {
  const all = compileRedaction(['card', 'iban', 'email', 'jwt'], '(?i)secret-[a-z]+')!
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, after) => {
      const text = `${before.replace(/[\d -]+$/, '')}x ${CARD}x${after}`
      assert.ok(!all(text).includes(CARD))
    }),
  )
  for (const hostile of ['1 ', 'a', '@', 'eyJ', 'AA00']) assert.ok(all(hostile.repeat(20_000)).length > 0)
})

test("an operator's own pattern hides each of its matches", () => {
  const own = compileRedaction([], 'tenant-[0-9]+')!
  assert.equal(own('tenant-1, tenant-22 and tenant-x'), 'REDACTED, REDACTED and tenant-x')
  assert.equal(compileRedaction([], 'x*')!('abc'), 'abc', 'an empty match is none')
})

const exchange = () => {
  const made = fakeExchange({
    path: `/pay/${CARD}?token=abc&n=1&token=def&%74oken=ghi&token`,
    headers: { Authorization: 'Basic x', 'X-Key': 'k', Cookie: `card=${CARD}`, 'X-Plain': 'p' },
    consumer: { id: 'c', username: 'ann', custom_id: '7' },
    response: { status: 200, headers: { 'X-Key': 'r', Authorization: 'shown' } },
  })
  made.upstream.path = '/up'
  return made
}

test('without settings a record hides what Kong hides', () => {
  const record = serializeExchange(exchange(), masking()) as any
  assert.equal(record.request.headers.authorization, 'REDACTED')
  assert.equal(record.request.headers['x-key'], 'k')
  assert.equal(record.response.headers.authorization, 'shown')
  assert.deepEqual({ ...record.request.querystring }, { token: ['abc', 'def', 'ghi', true], n: '1' })
})

test('headers, arguments, fields and patterns are hidden in every part of the record', () => {
  const hide = masking({
    log_mask_headers: ['X-Key'],
    log_mask_arguments: ['token'],
    log_mask_fields: ['consumer.custom_id', 'request.headers.x-plain', 'no.such.field'],
    log_mask_patterns: ['card'],
  })
  const given = exchange()
  const record = serializeExchange(given, hide) as any
  const query = '?token=REDACTED&n=1&token=REDACTED&%74oken=REDACTED&token'
  assert.equal(record.request.uri, `/pay/REDACTED${query}`)
  assert.equal(record.request.url, `http://gw.test:8000/pay/REDACTED${query}`)
  assert.equal(record.upstream_uri, `/up${query}`)
  assert.deepEqual({ ...record.request.querystring }, { token: ['REDACTED', 'REDACTED', 'REDACTED', true], n: '1' })
  assert.equal(record.request.headers['x-key'], 'REDACTED')
  assert.equal(record.request.headers['x-plain'], 'REDACTED')
  assert.equal(record.request.headers.cookie, 'card=REDACTED')
  assert.equal(record.response.headers['x-key'], 'REDACTED')
  assert.deepEqual({ ...record.consumer }, { id: 'c', username: 'ann', custom_id: 'REDACTED' })
  assert.equal(given.consumer?.custom_id, '7', 'the entity itself is left alone')
  assert.ok(!JSON.stringify(record).includes(CARD))
})

test('a star hides every member, and also in lists', () => {
  const record = { a: { b: 1, c: [{ d: 1 }, { d: 2 }] } }
  masking({ log_mask_fields: ['a.c.*.d'] }).record(record)
  assert.deepEqual(record, { a: { b: 1, c: [{ d: 'REDACTED' }, { d: 'REDACTED' }] } })
})

test('access logs hide the same, and credentials only where they are named', () => {
  const view = maskedExchange(
    exchange(),
    masking({ log_mask_headers: ['x-key'], log_mask_arguments: ['token'], log_mask_patterns: ['card'] }),
  )
  assert.equal(view.request.rawPath, '/pay/REDACTED')
  assert.equal(view.request.query, 'token=REDACTED&n=1&token=REDACTED&%74oken=REDACTED&token')
  assert.equal(view.request.headers.get('X-Key'), 'REDACTED')
  assert.equal(view.request.headers.get('cookie'), 'card=REDACTED')
  assert.equal(view.request.headers.get('authorization'), 'Basic x')
})
