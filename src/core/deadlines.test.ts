import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Deadlines, type DeadlineHolder } from './deadlines.ts'

const TICK_MS = 250
const BUCKETS = 8

class Holder implements DeadlineHolder {
  deadlineMs = 0
  deadlineTick = 0
  fired: number[] = []
  onFire: (() => void) | null = null
  readonly #now: () => number
  constructor(now: () => number) {
    this.#now = now
  }
  onDeadline(): void {
    this.fired.push(this.#now())
    this.onFire?.()
  }
}

class Wheel {
  nowMs = 0
  readonly deadlines = new Deadlines(() => this.nowMs, TICK_MS, BUCKETS)
  holder(): Holder {
    return new Holder(() => this.nowMs)
  }
  pass(milliseconds: number, stepMs = TICK_MS): void {
    const until = this.nowMs + milliseconds
    while (this.nowMs < until) {
      this.nowMs = Math.min(until, this.nowMs + stepMs)
      this.deadlines.advance()
    }
  }
  [Symbol.dispose](): void {
    this.deadlines.close()
  }
}

test('a deadline fires once, never early and less than three ticks late, also when it is many turns of the wheel away', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 0, max: 2000 }), (afterMs, startMs) => {
      using wheel = new Wheel()
      wheel.pass(startMs)
      const holder = wheel.holder()
      wheel.deadlines.set(holder, afterMs)
      const setMs = wheel.nowMs
      wheel.pass(25_000)
      assert.equal(holder.fired.length, 1)
      const lateMs = holder.fired[0]! - setMs - afterMs
      assert.ok(lateMs >= 0 && lateMs < 3 * TICK_MS, `late by ${lateMs} ms`)
    }),
  )
})

test('whatever is set and taken away in whatever order, each fires when its last deadline says', () => {
  const anyStep = fc.record({
    holder: fc.nat(3),
    afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6000 })),
    passMs: fc.nat(3000),
    removes: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 30, size: 'max' }), (steps) => {
      using wheel = new Wheel()
      const holders = Array.from({ length: 4 }, () => wheel.holder())
      const due = new Map<Holder, number>()
      const check = () => {
        for (const holder of holders) {
          const expected = due.get(holder)
          const fired = holder.fired.shift()
          if (fired !== undefined) {
            assert.ok(
              expected !== undefined && fired >= expected && fired < expected + 3 * TICK_MS,
              `fired at ${fired}, due at ${expected}`,
            )
            due.delete(holder)
          } else
            assert.ok(
              expected === undefined || expected + 3 * TICK_MS > wheel.nowMs,
              `due at ${expected}, not fired at ${wheel.nowMs}`,
            )
        }
      }
      for (const { holder: index, afterMs, passMs, removes } of steps) {
        const holder = holders[index]!
        if (removes) wheel.deadlines.remove(holder)
        else wheel.deadlines.set(holder, afterMs)
        if (removes || afterMs === 0) due.delete(holder)
        else due.set(holder, wheel.nowMs + afterMs)
        for (let passed = 0; passed < passMs; passed += TICK_MS) {
          wheel.pass(TICK_MS)
          check()
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('a stall of many turns fires everything that is due once', () => {
  using wheel = new Wheel()
  const holders = Array.from({ length: 50 }, () => wheel.holder())
  holders.forEach((holder, i) => wheel.deadlines.set(holder, 100 + i * 100))
  wheel.pass(60_000, 60_000)
  for (const holder of holders) assert.equal(holder.fired.length, 1)
})

test('a holder may set its deadline again, or leave, while it fires', () => {
  using wheel = new Wheel()
  const again = wheel.holder()
  const leaving = wheel.holder()
  again.onFire = () => again.fired.length < 3 && wheel.deadlines.set(again, 500)
  leaving.onFire = () => wheel.deadlines.remove(leaving)
  wheel.deadlines.set(again, 500)
  wheel.deadlines.set(leaving, 500)
  wheel.pass(10_000)
  assert.deepEqual([again.fired.length, leaving.fired.length, wheel.deadlines.size], [3, 1, 1])
})

test('a holder that another one removes in the same tick does not fire', () => {
  using wheel = new Wheel()
  const holders = [wheel.holder(), wheel.holder()]
  for (const holder of holders) {
    wheel.deadlines.set(holder, 500)
    holder.onFire = () => {
      for (const other of holders) wheel.deadlines.remove(other)
    }
  }
  wheel.pass(5_000)
  assert.equal(holders[0]!.fired.length + holders[1]!.fired.length, 1)
  assert.equal(wheel.deadlines.size, 0)
  for (const holder of holders) assert.equal(holder.deadlineTick, 0, 'it is not looked at any more')
})

test('it counts whom it watches, and holds nobody who left', () => {
  using wheel = new Wheel()
  const holder = wheel.holder()
  wheel.deadlines.remove(holder)
  wheel.deadlines.set(holder, 0)
  assert.equal(wheel.deadlines.size, 0)
  wheel.deadlines.set(holder, 1000)
  wheel.deadlines.set(holder, 5000)
  wheel.deadlines.set(holder, 100)
  assert.equal(wheel.deadlines.size, 1)
  wheel.deadlines.remove(holder)
  wheel.deadlines.remove(holder)
  assert.equal(wheel.deadlines.size, 0)
  wheel.pass(10_000)
  assert.deepEqual(holder.fired, [])
})
