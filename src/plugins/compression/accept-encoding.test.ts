import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EncodingChoice } from './accept-encoding.ts'

const choice = new EncodingChoice(['zstd', 'br', 'gzip'])

const CASES: readonly (readonly [accepted: string | null, encoding: string | null, refusesIdentity: boolean])[] = [
  [null, null, false],
  ['', null, false],
  ['gzip', 'gzip', false],
  ['GZIP', 'gzip', false],
  ['x-gzip', 'gzip', false],
  ['gzip, deflate, br, zstd', 'zstd', false],
  ['gzip, deflate, br', 'br', false],
  ['deflate', null, false],
  // By weight, then in the operator's order.
  ['gzip;q=1.0, br;q=0.5', 'gzip', false],
  ['br;q=0.5, gzip;q=0.5', 'br', false],
  ['zstd;q=0, br;q=0, gzip', 'gzip', false],
  ['gzip;q=0', null, false],
  ['gzip;q=0.001', 'gzip', false],
  ['gzip ; q=0.8', 'gzip', false],
  ['gzip;Q=0.8', 'gzip', false],
  // Any other.
  ['*', 'zstd', false],
  ['*;q=0.1, gzip;q=0.2', 'gzip', false],
  ['zstd;q=0, *', 'br', false],
  ['*;q=0', null, true],
  ['gzip, *;q=0', 'gzip', true],
  // As it is.
  ['identity', null, false],
  ['identity;q=0.5, gzip;q=1', 'gzip', false],
  ['identity, gzip;q=0.5', null, false],
  ['identity;q=0', null, true],
  ['identity;q=0, gzip', 'gzip', true],
  ['identity;q=0.1, *;q=0', null, false],
  // What is in no form says nothing; the first of two counts.
  ['gzip;q=2', null, false],
  ['gzip;q=-1', null, false],
  ['gzip;q=0.1234', null, false],
  ['gzip;q=', null, false],
  ['gzip;q=1;q=0', null, false],
  ['gzip;level=9', null, false],
  ['gz ip, br', 'br', false],
  [',,, ,gzip,,', 'gzip', false],
  ['gzip;q=0, gzip', null, false],
  ['"gzip"', null, false],
  [`${'a,'.repeat(40)}gzip`, null, false],
]
for (const [accepted, encoding, refusesIdentity] of CASES) {
  test(`Accept-Encoding ${accepted === null ? 'not there' : `'${accepted.slice(0, 60)}'`}`, () => {
    assert.deepEqual(choice.of(accepted), { encoding, refusesIdentity })
    assert.deepEqual(choice.of(accepted), { encoding, refusesIdentity }, 'the second time')
  })
}

test('chooses only of those that are configured, in that order', () => {
  assert.equal(new EncodingChoice(['gzip', 'br']).of('br, gzip, zstd').encoding, 'gzip')
  assert.equal(new EncodingChoice(['br']).of('gzip, zstd').encoding, null)
})

test('clients that ask in ever new ways are answered rightly and not remembered without end', () => {
  for (let i = 0; i < 1000; i++) assert.equal(choice.of(`x${i}, gzip`).encoding, 'gzip')
})

test('whatever a client writes, what is chosen is what it takes', () => {
  const piece = fc.constantFrom(
    'gzip',
    'br',
    'zstd',
    '*',
    'identity',
    ',',
    ';',
    'q=',
    '0',
    '1',
    '.',
    '5',
    ' ',
    '=',
    '\t',
    '"',
    'x',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const accepted = pieces.join('')
      const { encoding } = choice.of(accepted)
      if (encoding === null) return
      const named = accepted.split(',').map((part) => part.split(';')[0]!.trim())
      assert.ok(named.includes(encoding) || named.includes('*'), `${encoding} for '${accepted}'`)
    }),
  )
})
