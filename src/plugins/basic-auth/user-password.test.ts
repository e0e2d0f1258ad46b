import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseUserPassword } from './user-password.ts'

test('gives back any name without a colon and any bytes as password', () => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !text.includes(':'))
  fc.assert(
    fc.property(name, fc.uint8Array(), (username, password) => {
      const bytes = Buffer.concat([Buffer.from(`${username}:`), password])
      const parsed = parseUserPassword(`Basic ${bytes.toString('base64')}`)
      assert.equal(parsed?.username, username)
      assert.deepEqual(parsed?.password, Buffer.from(password))
    }),
  )
})

test('anything else is nobody, and never an error', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const parsed = parseUserPassword(`Basic ${text}`)
      assert.ok(parsed === null || parsed.username !== '')
    }),
  )
})
