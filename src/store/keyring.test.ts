import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { keyringFromEnvironment, openKeyringFile } from './keyring-file.ts'
import { newKeyringText, parseKeyring } from './keyring.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-keyring-'))
after(() => rmSync(folder, { recursive: true }))
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')
const keyring = (text: string) => parseKeyring(text, randomBytes)

test('the newest key seals, every key opens', () => {
  const old = keyring(`old:${key(1)}`)
  const both = keyring(`# rotated\nold:${key(1)}\nnew:${key(2)} # since May\n`)
  const sealedBefore = old.seal('hunter2', 'place')
  const sealedAfter = both.seal('hunter2', 'place')
  assert.match(sealedBefore, /^old:/)
  assert.match(sealedAfter, /^new:/)
  assert.equal(both.open(sealedBefore, 'place'), 'hunter2')
  assert.equal(both.open(sealedAfter, 'place'), 'hunter2')
  assert.throws(() => old.open(sealedAfter, 'place'), { code: 'KEY_MISSING', message: /"new"/ })
})

test('what was sealed does not show, opens in its place only, and not when a bit has changed', () => {
  const ring = keyring(`k1:${key(1)}`)
  const sealed = ring.seal('hunter2', 'place')
  assert.doesNotMatch(sealed, /hunter/)
  assert.notEqual(ring.seal('hunter2', 'place'), sealed)
  assert.throws(() => ring.open(sealed, 'other place'), { code: 'KEY_WRONG' })
  assert.throws(() => keyring(`k1:${key(2)}`).open(sealed, 'place'), { code: 'KEY_WRONG' })
  const bytes = Buffer.from(sealed.slice(3), 'base64')
  for (let index = 0; index < bytes.length; index++) {
    const altered = Buffer.from(bytes)
    altered[index] = (altered[index] as number) ^ 1
    assert.throws(() => ring.open(`k1:${altered.toString('base64')}`, 'place'), { code: 'KEY_WRONG' })
  }
  for (const short of ['k1:', 'k1:AAAA']) assert.throws(() => ring.open(short, 'place'), { code: 'KEY_WRONG' })
})

test('the look-up key of a value stays when a key is added, and differs by place', () => {
  const old = keyring(`old:${key(1)}`)
  const both = keyring(`old:${key(1)},new:${key(2)}`)
  assert.equal(old.lookupKey('hunter2', 'a'), both.lookupKey('hunter2', 'a'))
  assert.notEqual(old.lookupKey('hunter2', 'a'), old.lookupKey('hunter2', 'b'))
  assert.notEqual(old.lookupKey('hunter2', 'a'), old.lookupKey('hunter3', 'a'))
  assert.notEqual(old.lookupKey('hunter2', 'a'), keyring(`old:${key(2)}`).lookupKey('hunter2', 'a'))
})

test('a keyring that can not be read is refused by place and id, never with the text of a key', () => {
  const secret = key(9)
  const cases: [text: string, message: RegExp][] = [
    ['', /at least one key/],
    [`k1:${Buffer.alloc(16).toString('base64')}`, /k1: expected 32 bytes/],
    [`k1:${secret}\nk1:${secret}`, /k1.*twice/],
    [secret, /entry 1: expected id:base64/],
    [`k1:${secret}\nbad id:${secret}`, /entry 2/],
  ]
  for (const [text, message] of cases) {
    assert.throws(
      () => keyring(text),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'KEYRING_INVALID')
        assert.match(error.message, message)
        assert.ok(!error.message.includes(secret))
        return true
      },
    )
  }
  assert.throws(() => keyringFromEnvironment('MERIDIAN_KEYRING', undefined, randomBytes), {
    code: 'KEYRING_INVALID',
    message: /MERIDIAN_KEYRING/,
  })
  assert.equal(keyringFromEnvironment('X', `a:${key(1)} b:${key(2)}`, randomBytes).newestId, 'b')
})

test('a new keyring file is for its owner only, is used again, and is made only when it may be', () => {
  const file = path.join(folder, 'keyring')
  const options = { path: file, randomBytes, newKeyId: 'k1' }
  assert.throws(() => openKeyringFile({ ...options, create: false }), {
    code: 'KEYRING_INVALID',
    message: new RegExp(file),
  })
  assert.ok(!existsSync(file))
  const sealed = openKeyringFile({ ...options, create: true }).seal('x', 'place')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(openKeyringFile({ ...options, create: true }).open(sealed, 'place'), 'x')
  assert.deepEqual(readdirSync(folder), ['keyring'])
  writeFileSync(file, 'nonsense')
  assert.throws(() => openKeyringFile({ ...options, create: true }), {
    code: 'KEYRING_INVALID',
    message: new RegExp(file),
  })
  assert.notEqual(newKeyringText('k1', randomBytes), newKeyringText('k1', randomBytes))
})
