import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { escapeValue } from './distinguished-name.ts'

/** Reads one value of a distinguished name by RFC 4514 3, character by character; null when it ends or breaks off early. */
function readValue(text: string): string | null {
  const bytes: number[] = []
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    const isEdge = at === 0 || at === text.length - 1
    if (character === '\\') {
      const hex = /^[0-9a-fA-F]{2}/.exec(text.slice(at + 1))?.[0]
      if (hex === undefined && !/^[ "#+,;<=>\\]/.test(text.slice(at + 1))) return null
      bytes.push(...(hex === undefined ? Buffer.from(text[at + 1]!) : [Number.parseInt(hex, 16)]))
      at += hex === undefined ? 1 : 2
    } else if (/["+,;<>\0]/.test(character) || (at === 0 && character === '#') || (isEdge && character === ' ')) {
      return null
    } else {
      const point = String.fromCodePoint(text.codePointAt(at)!)
      bytes.push(...Buffer.from(point))
      at += point.length - 1
    }
  }
  return Buffer.from(bytes).toString()
}

test('whatever a name is, it is read as one value again', () => {
  const special = fc.string({
    unit: fc.constantFrom(' ', '#', '"', '+', ',', ';', '<', '=', '>', '\\', '\0', '\r', '\n', 'a', '5', 'ß'),
  })
  fc.assert(
    fc.property(fc.oneof(special, fc.string({ unit: 'grapheme' })), (name) => {
      assert.equal(readValue(escapeValue(name)), name)
    }),
    { numRuns: 2000 },
  )
})

test('plain names stay as they are', () => {
  for (const name of ['ann', 'ann.doe-2', 'Ann Doe', 'jürgen']) assert.equal(escapeValue(name), name)
})
