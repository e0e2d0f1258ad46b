import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { generate } from 'selfsigned'
import { CertificateTable, type CertificatePair } from './certificates.ts'

let pem: { cert: string; key: string }
let otherPem: { cert: string; key: string }

before(async () => {
  const make = async () => {
    const made = await generate([{ name: 'commonName', value: 'a.test' }], { keyType: 'ec', curve: 'P-256' })
    return { cert: made.cert, key: made.private }
  }
  pem = await make()
  otherPem = await make()
})

function pair(id: string, more: Partial<CertificatePair> = {}): CertificatePair {
  return { id, ...pem, certAlt: null, keyAlt: null, ...more }
}

/** A table with a certificate per name; which of them is found is told by the identity of its context. */
function tableOf(names: readonly string[]) {
  const failed: string[] = []
  const table = new CertificateTable((id) => failed.push(id))
  const pairs = names.map((name) => pair(`id of ${name}`))
  table.update(pairs, new Map(names.map((name) => [name, `id of ${name}`])))
  return { table, pairs, failed }
}

for (const [asked, expected] of [
  ['a.example.test', 'a.example.test'],
  ['b.example.test', '*.example.test'],
  ['example.test', 'example.*'],
  ['a.b.example.test', '*'],
  ['example.com', 'example.*'],
  ['else', '*'],
] as const) {
  test(`${asked} gets the certificate of ${expected}`, () => {
    const { table } = tableOf(['a.example.test', '*.example.test', 'example.*', '*'])
    const context = table.find(asked)
    assert.ok(context !== undefined)
    assert.equal(context, table.find(expected))
  })
}

test('a name that nothing matches gets none', () => {
  const { table } = tableOf(['a.example.test', '*.example.test'])
  for (const name of ['example.test', 'x.y.example.test', '', 'test']) assert.equal(table.find(name), undefined)
})

test('a context is made once, lives through changes of others, and is made anew when its certificate changes', () => {
  const { table, pairs } = tableOf(['a.test', 'b.test'])
  const [a, b] = pairs
  const before = [table.find('a.test'), table.find('b.test')]
  assert.equal(table.find('a.test'), before[0])
  table.update(
    [a!, { ...b!, ...otherPem }],
    new Map([
      ['a.test', a!.id],
      ['b.test', b!.id],
    ]),
  )
  assert.equal(table.find('a.test'), before[0])
  assert.notEqual(table.find('b.test'), before[1])
})

test('a name that is taken away finds nothing, one that moves finds the other certificate', () => {
  const { table, pairs } = tableOf(['a.test', 'b.test'])
  const b = table.find('b.test')
  table.update(pairs, new Map([['a.test', pairs[1]!.id]]))
  assert.equal(table.find('b.test'), undefined)
  assert.equal(table.find('a.test'), b)
})

test('a certificate that cannot be used is told once and gives none', () => {
  const failed: string[] = []
  const table = new CertificateTable((id) => failed.push(id))
  table.update([pair('broken', { key: otherPem.key })], new Map([['a.test', 'broken']]))
  assert.equal(table.find('a.test'), undefined)
  assert.equal(table.find('a.test'), undefined)
  assert.deepEqual(failed, ['broken'])
})

test('a name whose certificate is not there yet finds it when it comes', () => {
  const table = new CertificateTable(() => undefined)
  table.update([], new Map([['a.test', 'later']]))
  assert.equal(table.find('a.test'), undefined)
  table.update([pair('later')], new Map([['a.test', 'later']]))
  assert.ok(table.find('a.test') !== undefined)
})
