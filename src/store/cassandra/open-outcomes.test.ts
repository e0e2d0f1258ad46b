import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppendResult, LogEntry } from '../contract.ts'
import { OpenOutcomes } from './open-outcomes.ts'

const entry = (txid: string, revision: number) => ({ txid, revision }) as LogEntry
const open = (txid: string): AppendResult => ({ outcome: 'open', txid })
const appended = { outcome: 'appended', entry: entry('t', 5) } as AppendResult

test('what was told to be open and is in the log can not be told any more when the copy is loaded anew', () => {
  const outcomes = new OpenOutcomes()
  outcomes.add(entry('t', 5))
  outcomes.answered('t', open('t'))
  outcomes.settle(5)
  assert.deepEqual([outcomes.has('t'), outcomes.isUnknowable('t'), outcomes.unsettled], [false, false, null])
  outcomes.loseLog()
  assert.equal(outcomes.isUnknowable('t'), true)
})

test('what was answered since is known, whatever becomes of the log', () => {
  const outcomes = new OpenOutcomes()
  outcomes.add(entry('t', 5))
  outcomes.answered('t', open('t'))
  outcomes.settle(5)
  outcomes.answered('t', appended)
  outcomes.loseLog()
  assert.equal(outcomes.isUnknowable('t'), false)
})

test('what waits for a slot of an epoch that is over can not be told', () => {
  const outcomes = new OpenOutcomes()
  outcomes.add(entry('before', 5))
  outcomes.add(entry('after', 6))
  outcomes.settle(5)
  outcomes.leaveEpoch()
  assert.deepEqual([outcomes.isUnknowable('before'), outcomes.isUnknowable('after')], [false, true])
  assert.deepEqual([outcomes.has('after'), outcomes.unsettled], [false, null])
})
