import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeMetrics, fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { brownoutEnd, parseMoment } from './moments.ts'
import { deprecation } from './plugin.ts'

const DATES = { deprecated_at: '2030-01-01', sunset_at: '2030-07-01T12:00:00+02:00' }

function run(config: object, options: FakeExchangeOptions = {}) {
  const metrics = new FakeMetrics()
  const state = prepare(deprecation, config, { metrics })
  const exchange = fakeExchange({ route: { name: 'r' }, ...options })
  const exit = deprecation.access!(exchange, state)
  assert.ok(!(exit instanceof Promise))
  deprecation.responseHeaders!(exchange, state)
  return { exit: exit ?? null, headers: headersOf(exchange.response.headers), uses: metrics.deprecatedUses }
}

test('says since when, until when, and where to read more', () => {
  const config = {
    ...DATES,
    deprecation_link: 'https://docs.example/v1',
    sunset_link: 'https://docs.example/policy',
    successor_link: 'https://api.example/v2',
    warning: 'Use "v2"',
  }
  assert.deepEqual(run(config).headers, {
    deprecation: '@1893456000',
    sunset: 'Mon, 01 Jul 2030 10:00:00 GMT',
    link: '<https://docs.example/v1>; rel="deprecation", <https://docs.example/policy>; rel="sunset", <https://api.example/v2>; rel="successor-version"',
    warning: '299 - "Use \\"v2\\""',
  })
})

test('links of the upstream stay, its dates do not', () => {
  const response = { headers: { Link: '</a>; rel="next"', Sunset: 'never' } }
  const { headers } = run({ ...DATES, sunset_link: 'https://docs.example/' }, { response })
  assert.deepEqual(headers['link'], ['</a>; rel="next"', '<https://docs.example/>; rel="sunset"'])
  assert.equal(headers['sunset'], 'Mon, 01 Jul 2030 10:00:00 GMT')
})

const stages: readonly [now: string, stage: string, status: number | null][] = [
  ['2029-12-31T23:59:59.999Z', 'announced', null],
  ['2030-01-01T00:00:00Z', 'deprecated', null],
  ['2030-07-01T09:59:59.999Z', 'deprecated', null],
  ['2030-07-01T10:00:00Z', 'retired', 410],
]
for (const [now, stage, status] of stages) {
  test(`at ${now} it is ${stage}`, () => {
    const { exit, uses } = run(DATES, { now, consumer: { username: 'ann' } })
    assert.equal(exit?.status ?? null, status)
    assert.deepEqual(uses, [`r ann ${stage}`])
  })
}

test('afterwards it may still be served, or clients are sent elsewhere', () => {
  const now = '2031-01-01T00:00:00Z'
  assert.equal(run({ ...DATES, after_sunset: 'serve' }, { now }).exit, null)
  const config = { ...DATES, after_sunset: 'redirect', redirect_location: 'https://api.example/v2#moved' }
  const location = (more: object, path: string) => {
    const { exit } = run({ ...config, ...more }, { now, path })
    return [exit?.status, exit?.headers]
  }
  assert.deepEqual(location({}, '/a?b=1'), [308, [['Location', 'https://api.example/v2#moved']]])
  assert.deepEqual(location({ keep_incoming_path: true, redirect_status: 302 }, '/a?b=1'), [
    302,
    [['Location', 'https://api.example/a?b=1#moved']],
  ])
  assert.deepEqual(location({ keep_incoming_path: true }, '//evil.example/'), [
    308,
    [['Location', 'https://api.example//evil.example/#moved']],
  ])
})

test('a brown-out refuses while it lasts, and says until when', () => {
  const config = { ...DATES, brownouts: [{ starts_at: '2030-02-01T00:00:00Z', duration: 600 }] }
  assert.equal(run(config, { now: '2030-01-31T23:59:59Z' }).exit, null)
  const { exit, uses } = run(config, { now: '2030-02-01T00:09:00.500Z' })
  assert.partialDeepStrictEqual(exit, { status: 503, headers: [['Retry-After', '60']] })
  assert.deepEqual(uses, ['r  brownout'])
  assert.equal(run(config, { now: '2030-02-01T00:10:00Z' }).exit, null)
  assert.partialDeepStrictEqual(run({ ...config, brownout_status: 410 }, { now: '2030-02-01T00:00:00Z' }).exit, {
    status: 410,
    headers: [],
  })
})

test('a brown-out comes again, and may be for a part of the requests', () => {
  const brownouts = [{ starts_at: '2030-02-01T00:00:00Z', duration: 3600, every: 86_400, percent: 25 }]
  const config = { ...DATES, brownouts }
  const at = (now: string, id: string) => run(config, { now, id: id.padEnd(32, '0') }).exit?.status ?? null
  assert.equal(at('2030-03-05T00:59:59Z', '3fffffff'), 503)
  assert.equal(at('2030-03-05T00:59:59Z', '40000000'), null)
  assert.equal(at('2030-03-05T01:00:00Z', '00000000'), null)
})

test('moments', () => {
  assert.equal(parseMoment('2030-02-28'), Date.UTC(2030, 1, 28))
  assert.equal(parseMoment('2030-02-30'), null)
  assert.equal(parseMoment('2030-13-01'), null)
  assert.equal(parseMoment('2030-01-01T24:30:00Z'), null)
  assert.equal(parseMoment('2030-02-30T00:00:00Z'), null)
  assert.equal(brownoutEnd({ startsAtMs: 100, durationMs: 10, everyMs: 50, part: 1 }, 155), 160)
})

const refused: readonly [config: object, field: string, message: RegExp][] = [
  [{}, '', /at least one of these fields/],
  [{ deprecated_at: 'tomorrow' }, 'deprecated_at', /expected a date/],
  [{ deprecated_at: '2030-01-01T00:00:00' }, 'deprecated_at', /expected a date/],
  [{ sunset_at: '2030-02-30' }, 'sunset_at', /no such moment/],
  [{ deprecated_at: '2030-01-02', sunset_at: '2030-01-01' }, 'sunset_at', /not before deprecated_at/],
  [{ ...DATES, successor_link: '/v2' }, 'successor_link', /./],
  [{ ...DATES, warning: 'a\r\nb' }, 'warning', /invalid value/],
  [{ ...DATES, after_sunset: 'redirect' }, 'redirect_location', /required/],
  [{ ...DATES, redirect_status: 200 }, 'redirect_status', /expected one of/],
  [{ ...DATES, brownouts: [{ duration: 1 }] }, 'brownouts.0.starts_at', /required/],
  [{ ...DATES, brownouts: [{ starts_at: '2030-02-31', duration: 1 }] }, 'brownouts.0.starts_at', /no such moment/],
  [
    { ...DATES, brownouts: [{ starts_at: '2030-02-01', duration: 60, every: 60 }] },
    'brownouts.0.every',
    /more seconds/,
  ],
  [{ ...DATES, brownouts: [{ starts_at: '2030-02-01', duration: 1, percent: 101 }] }, 'brownouts.0.percent', /between/],
]
for (const [config, field, message] of refused) {
  test(`refuses ${JSON.stringify(config)}`, () => {
    assert.throws(
      () => prepare(deprecation, config),
      (error: Error & { field?: string }) => {
        assert.match(error.message, message)
        if (field !== '') assert.equal(error.field, field)
        return true
      },
    )
  })
}
