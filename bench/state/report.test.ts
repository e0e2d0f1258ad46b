import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stateFigure } from './limits.ts'
import { aMachine } from '../support/testing.ts'
import { tableOf, withState } from './report.ts'

const measured = { ...aMachine, nginx: 'Redis 7' }

test('a figure at its limit holds it, one beyond it does not, however it is rounded', () => {
  assert.equal(stateFigure('synced-cpu', 1.15, {}).isHeld, true)
  assert.deepEqual(
    [stateFigure('synced-cpu', 1.1501, {}).isHeld, stateFigure('synced-cpu', 1.1501, {}).value],
    [false, 1.15],
  )
  assert.match(
    tableOf([stateFigure('silent-slowest', 57, { runs: 3 })]),
    /\| 57 ms \| 50 \| \*\*missed\*\* \| runs 3 \|$/,
  )
})

test('a page gets its own figures between the markers, and nothing else changes', () => {
  const figures = [
    { ...stateFigure('stored-p99', 1, {}), measured },
    { ...stateFigure('strict-cpu', 3, {}), measured },
  ]
  const page = withState('before\n<!-- state -->\nold\n<!-- /state -->\nafter\n', 'caching', figures)
  assert.match(page, /^before\n<!-- state -->\n[^]*found in Redis[^]*<!-- \/state -->\nafter\n$/)
  assert.doesNotMatch(page, /old|round trip/)
  assert.equal(withState(page, 'caching', figures), page)
  assert.throws(() => withState('no markers', 'caching', figures), /has no/)
})
