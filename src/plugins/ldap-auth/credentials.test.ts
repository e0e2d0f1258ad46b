import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { headerPattern, parseCredentials } from './credentials.ts'

const text = (value: string) => Buffer.from(value).toString('base64')

test('gives back any name without a colon with any password', () => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' }).filter((one) => !one.includes(':'))
  fc.assert(
    fc.property(name, fc.string({ minLength: 1, unit: 'grapheme' }), (given, password) => {
      const parsed = parseCredentials(headerPattern('ldap'), `LDAP  ${text(`${given}:${password}`)} `)
      assert.deepEqual(parsed, { name: given, password })
    }),
  )
})

test('anything else is nobody, and never an error; nobody comes without name or password', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (garbage) => {
      const parsed = parseCredentials(headerPattern('ldap'), `ldap ${garbage}`)
      assert.ok(parsed === null || (parsed.name !== '' && parsed.password !== ''))
    }),
  )
  for (const header of [null, '', 'ldap', `ldap ${text('ann:')}`, `ldap ${text(':x')}`, `xldap ${text('a:b')}`])
    assert.equal(parseCredentials(headerPattern('ldap'), header), null)
})

test('the scheme is a text and no pattern', () => {
  assert.equal(parseCredentials(headerPattern('l.ap'), `ldap ${text('a:b')}`), null)
  assert.deepEqual(parseCredentials(headerPattern('my (own)'), `My (Own) ${text('a:b')}`), { name: 'a', password: 'b' })
})
