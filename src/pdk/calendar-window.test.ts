import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PERIODS, windowEnd, windowStart } from './calendar-window.ts'

const at = (text: string) => Date.parse(text)
const text = (ms: number) => new Date(ms).toISOString()

test('windows are periods of the UTC calendar', () => {
  const now = at('2028-02-29T13:14:15.678Z')
  const windows = PERIODS.map((period) => [
    period,
    text(windowStart(period, now)),
    text(windowEnd(period, windowStart(period, now))),
  ])
  assert.deepEqual(windows, [
    ['second', '2028-02-29T13:14:15.000Z', '2028-02-29T13:14:16.000Z'],
    ['minute', '2028-02-29T13:14:00.000Z', '2028-02-29T13:15:00.000Z'],
    ['hour', '2028-02-29T13:00:00.000Z', '2028-02-29T14:00:00.000Z'],
    ['day', '2028-02-29T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
    ['month', '2028-02-01T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
    ['year', '2028-01-01T00:00:00.000Z', '2029-01-01T00:00:00.000Z'],
  ])
})

test('the last month of a year ends with it', () => {
  assert.equal(text(windowEnd('month', at('2029-12-01T00:00:00Z'))), '2030-01-01T00:00:00.000Z')
})

test('every moment is in exactly one window of each period', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: at('2100-01-01T00:00:00Z') }), fc.constantFrom(...PERIODS), (now, period) => {
      const start = windowStart(period, now)
      const end = windowEnd(period, start)
      assert.ok(start <= now && now < end)
      assert.equal(windowStart(period, end - 1), start)
      assert.equal(windowStart(period, end), end)
    }),
  )
})
