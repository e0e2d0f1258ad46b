import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errors, errorsReference, GatewayError, type ErrorEntry } from './errors.ts'

test('every code says in sentences what happened and what to do', () => {
  for (const [code, entry] of Object.entries<ErrorEntry>(errors)) {
    assert.match(code, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/)
    assert.match(entry.message, /^\S.*\.$/, code)
    assert.match(entry.remedy, /^\S.*\.$/, code)
    assert.ok(entry.status === null || (entry.status >= 400 && entry.status <= 599), code)
  }
})

test('an error keeps its code, its cause and what to do', () => {
  const cause = new Error('EACCES')
  const error = new GatewayError('PREFIX_UNUSABLE', 'prefix: expected a folder that can be written, got /proc', {
    cause,
  })
  assert.equal(error.code, 'PREFIX_UNUSABLE')
  assert.equal(error.cause, cause)
  assert.equal(error.message, 'prefix: expected a folder that can be written, got /proc')
  assert.equal(error.remedy, errors.PREFIX_UNUSABLE.remedy)
  assert.equal(new GatewayError('NOT_RUNNING').message, errors.NOT_RUNNING.message)
})

test('the reference page has one row for each code', () => {
  const rows = errorsReference()
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  assert.equal(rows.length, Object.keys(errors).length)
  for (const row of rows) assert.equal(row.replaceAll('\\|', '').split('|').length, 6, row)
})
