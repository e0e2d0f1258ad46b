import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyMultipart, encodeMultipart, fieldPart, parseMultipart, renamedPart } from './multipart.ts'

const TYPE = 'multipart/form-data; boundary=bb'
const parse = (text: string, type = TYPE) => parseMultipart(Buffer.from(text, 'latin1'), type)

const FORM =
  '--bb\r\nContent-Disposition: form-data; name="have"\r\n\r\no\r\n' +
  '--bb\r\nContent-Disposition: form-data; filename="name=x.bin"; name="file"\r\nContent-Type: image/png\r\n\r\n\0\xff\r\n\r\n--b\r\n--bb--\r\n'

test('reads names and bodies, and writes unchanged parts byte by byte', () => {
  const form = parse(FORM)!
  assert.deepEqual(
    form.parts.map(({ name, body }) => [name, body]),
    [
      ['have', 'o'],
      ['file', '\0\xff\r\n\r\n--b'],
    ],
  )
  assert.equal(encodeMultipart(form).toString('latin1'), FORM)
})

test('ignores what stands before the first and behind the last delimiter', () => {
  assert.deepEqual(parse('preamble\r\n--bb  \r\n\r\nv\r\n--bb--epilogue')!.parts, [{ name: null, head: '', body: 'v' }])
})

test('takes quoted boundaries, other parameters and names without quotes', () => {
  const form = parse(
    '--b b\r\ncontent-disposition: form-data; NAME=k\r\n\r\nv\r\n--b b--',
    'multipart/form-data; charset=x; Boundary="b b"',
  )!
  assert.equal(form.parts[0]!.name, 'k')
})

test('an empty form is one', () => {
  assert.deepEqual(parse('--bb--\r\n')!.parts, [])
  assert.equal(encodeMultipart(emptyMultipart(TYPE)!).toString(), '--bb--\r\n')
})

test('what does not keep to its boundary is no form', () => {
  for (const text of [
    '',
    'x',
    '--bb\r\n',
    '--bb\r\n\r\nv',
    '--bbx\r\n\r\nv\r\n--bb--',
    '--bb\r\nno end of head\r\n--bb--',
    '--bb\n\nv\n--bb--',
  ]) {
    assert.equal(parse(text), null, JSON.stringify(text))
  }
  assert.equal(parse(FORM, 'multipart/form-data'), null)
})

test('a renamed part keeps its file name and type', () => {
  const part = renamedPart(parse(FORM)!.parts[1]!, 'other')
  assert.equal(
    part.head,
    'Content-Disposition: form-data; filename="name=x.bin"; name="other"\r\nContent-Type: image/png\r\n',
  )
})

test('a name can not end its own line', () => {
  assert.equal(fieldPart('a"\r\nX: y', 'v').head, 'Content-Disposition: form-data; name="a%22%0D%0AX: y"\r\n')
})

test('fields that are written are read back', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', '-', '=', ';', '.') })
  fc.assert(
    fc.property(fc.array(fc.tuple(word, word)), (fields) => {
      const form = { boundary: 'bb', parts: fields.map(([name, value]) => fieldPart(name, value)) }
      assert.deepEqual(parse(encodeMultipart(form).toString('latin1')), form)
    }),
  )
})
