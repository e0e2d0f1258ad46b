import assert from 'node:assert/strict'
import { test } from 'node:test'
import { convergeFigure } from './limits.ts'
import { aMachine } from '../support/testing.ts'
import { tableOf, withConverge } from './report.ts'

const measured = { ...aMachine, nginx: 'Cassandra dc1:3,dc2:3' }

test('a figure at its limit holds it, one beyond it does not; rates have to be at least their limit', () => {
  assert.equal(convergeFigure('propagation-p99', 600, {}).isHeld, true)
  assert.equal(convergeFigure('propagation-p99', 601, {}).isHeld, false)
  assert.equal(convergeFigure('keys', 250, {}).isHeld, true)
  assert.equal(convergeFigure('keys', 249, {}).isHeld, false)
  assert.match(
    tableOf([convergeFigure('keys', 249, { keys: 2 })]),
    /\| 249 keys\/s \| >= 250 \| \*\*missed\*\* \|.*\| keys 2 \|$/,
  )
})

test('the table replaces what stood between the markers, and nothing else', () => {
  const figures = [{ ...convergeFigure('start-copy', 1, {}), measured }]
  const page = withConverge('before\n<!-- converge -->\nold\n<!-- /converge -->\nafter\n', figures)
  assert.match(page, /^before\n<!-- converge -->\n[^]*Cassandra dc1:3[^]*<!-- \/converge -->\nafter\n$/)
  assert.doesNotMatch(page, /old/)
  assert.equal(withConverge(page, figures), page)
  assert.throws(() => withConverge('no markers', figures), /has no/)
})
