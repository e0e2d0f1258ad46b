import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { packValue, unpackValue } from './shared-value.ts'

const MOST = 1 << 20
const value = (bytes: Buffer) => ({ id: 'i', names: ['tag:é'], moment: { log: 7, redis: 3 }, expiresAtMs: 9, bytes })

test('what was packed is unpacked, and texts are smaller meanwhile', async () => {
  const text = Buffer.from('{"name":"value","number":12345},'.repeat(500))
  for (const bytes of [Buffer.alloc(0), Buffer.from('short'), text, randomBytes(5000)]) {
    const packed = await packValue(value(bytes))
    assert.deepEqual(await unpackValue(packed, MOST), value(bytes))
  }
  assert.ok((await packValue(value(text))).length < text.length / 4)
})

test('what is no such value is none', async () => {
  const packed = await packValue(value(Buffer.from('x'.repeat(5000))))
  const cases = [
    Buffer.alloc(0),
    Buffer.from('nonsense that is long enough'),
    packed.subarray(0, 20),
    packed.subarray(0, packed.length - 1),
    Buffer.concat([Buffer.from([9]), packed.subarray(1)]),
  ]
  for (const bytes of cases) assert.equal(await unpackValue(bytes, MOST), null)
})

test('a small value that unpacks to a large one is none', async () => {
  assert.equal(await unpackValue(await packValue(value(Buffer.alloc(100_000))), 50_000), null)
})
