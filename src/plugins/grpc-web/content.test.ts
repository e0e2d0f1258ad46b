import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { contentOf, decodeText } from './content.ts'

test('a type says how the body is written', () => {
  const said = (type: string | null) => {
    const content = contentOf(type)
    return content === null ? null : [content.isText, content.isJson, content.isFramed]
  }
  assert.deepEqual(said('application/grpc-web'), [false, false, true])
  assert.deepEqual(said('application/grpc-web+proto; charset=x'), [false, false, true])
  assert.deepEqual(said('Application/gRPC-Web-Text'), [true, false, true])
  assert.deepEqual(said('application/grpc-web-text+json'), [true, true, true])
  assert.deepEqual(said('application/json'), [false, true, false])
  for (const other of [null, '', 'text/plain', 'application/grpc', 'application/grpc-webx'])
    assert.equal(said(other), null)
})

test('base64 is read in parts that are each padded by themselves', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 10 }), (parts) => {
      const text = parts.map((part) => Buffer.from(part).toString('base64')).join('')
      assert.deepEqual(decodeText(Buffer.from(text)), Buffer.concat(parts))
    }),
  )
  for (const wrong of ['=', 'A', 'AA', 'AAA', 'A===', 'AA=', 'AAAA=', 'AA==A', 'A*==', 'ä===', 'AA AA'])
    assert.equal(decodeText(Buffer.from(wrong)), null, wrong)
})

test('whatever comes is read or refused', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void decodeText(Buffer.from(bytes))))
})
