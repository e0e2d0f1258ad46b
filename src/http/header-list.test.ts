import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FieldFacts, parseFields } from './fields.ts'
import { HeaderList, skipTable } from './header-list.ts'
import { headerId, identifyHeader, identifyHeaderBytes, type KnownHeader } from './known-headers.ts'

/** The slow obvious list to compare with. */
class NaiveList {
  entries: [name: string, value: string][]
  constructor(entries: readonly (readonly [string, string])[]) {
    this.entries = entries.map(([name, value]) => [name, value])
  }
  #is = (name: string) => (entry: readonly [string, string]) => entry[0].toLowerCase() === name.toLowerCase()
  getAll(name: string): string[] {
    return this.entries.filter(this.#is(name)).map(([, value]) => value)
  }
  set(name: string, value: string): void {
    const at = this.entries.findIndex(this.#is(name))
    if (at < 0) return this.append(name, value)
    const [written] = this.entries[at]!
    this.entries = this.entries.filter((entry, i) => i <= at || !this.#is(name)(entry))
    this.entries[at] = [written, value]
  }
  append(name: string, value: string): void {
    this.entries.push([name, value])
  }
  remove(name: string): boolean {
    const before = this.entries.length
    this.entries = this.entries.filter((entry) => !this.#is(name)(entry))
    return this.entries.length < before
  }
  serialise(skipped: readonly string[]): string {
    return this.entries
      .filter(([name]) => !skipped.includes(name.toLowerCase()))
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
  }
}

/** A list as it comes from the wire, with what stands before it in the read. */
function received(lines: readonly string[]): HeaderList {
  const head = 'GET / HTTP/1.1\r\n' + lines.map((l) => l + '\r\n').join('') + '\r\n'
  const bytes = Buffer.from('before' + head, 'latin1')
  const spans: number[] = []
  const facts = new FieldFacts()
  assert.ok(parseFields(bytes, head, 6, 6 + 16, bytes.length, spans, facts, 100), facts.problem)
  return new HeaderList(head, spans, facts.low, facts.high)
}

const NAMES = [
  'Host',
  'host',
  'X-One',
  'x-one',
  'X-Two',
  'Set-Cookie',
  'Retry-After',
  'Via',
  'X-RateLimit-Limit-Day',
  'Cookie',
] as const
const SKIPPED: readonly KnownHeader[] = ['host', 'via', 'x-ratelimit-limit-day']
const SKIP = skipTable(SKIPPED)
const anyName = fc.constantFrom(...NAMES)
const anyValue = fc.constantFrom('', 'a', 'b c', 'caf\xe9')
const anyLine = fc.tuple(anyName, fc.constantFrom(': ', ':', ':  ', ':\t'), anyValue, fc.constantFrom('', ' ', '\t'))
const anyStep = fc.oneof(
  fc.record({ do: fc.constant('set' as const), name: anyName, value: anyValue }),
  fc.record({ do: fc.constant('append' as const), name: anyName, value: anyValue }),
  fc.record({ do: fc.constant('remove' as const), name: anyName, value: fc.constant('') }),
  fc.record({ do: fc.constant('setKnown' as const), name: anyName, value: anyValue }),
  fc.record({ do: fc.constant('removeKnown' as const), name: anyName, value: fc.constant('') }),
  fc.record({ do: fc.constant('clone' as const), name: anyName, value: fc.constant('') }),
)

function agree(list: HeaderList, naive: NaiveList): void {
  assert.deepEqual([...list], naive.entries)
  assert.equal(list.size, naive.entries.length)
  for (const name of [...NAMES, 'Absent', 'date']) {
    const values = naive.getAll(name)
    assert.deepEqual(list.getAll(name), values)
    assert.equal(list.get(name), values[0] ?? null)
    assert.equal(list.has(name), values.length > 0)
    const id = identifyHeader(name, 0, name.length)
    if (id === 0) continue
    assert.deepEqual(list.getAllKnown(id), values)
    assert.equal(list.getKnown(id), values[0] ?? null)
    assert.equal(list.hasKnown(id), values.length > 0)
  }
  assert.equal(list.serialise(SKIP), naive.serialise(SKIPPED))
  assert.equal(list.serialise(new Uint8Array(256)), naive.serialise([]))
}

test('whatever is done to a received list, it stays what a plain list of pairs would be', () => {
  fc.assert(
    fc.property(fc.array(anyLine, { maxLength: 8 }), fc.array(anyStep, { maxLength: 10 }), (lines, steps) => {
      let list = received(lines.map((parts) => parts.join('')))
      const naive = new NaiveList(lines.map(([name, , value]) => [name, value]))
      agree(list, naive)
      for (const step of steps) {
        const id = identifyHeader(step.name, 0, step.name.length)
        switch (step.do) {
          case 'set':
            list.set(step.name, step.value)
            naive.set(step.name, step.value)
            break
          case 'append':
            list.append(step.name, step.value)
            naive.append(step.name, step.value)
            break
          case 'remove':
            assert.equal(list.remove(step.name), naive.remove(step.name))
            break
          case 'setKnown':
            if (id === 0) continue
            list.setKnown(id, step.name, step.value)
            naive.set(step.name, step.value)
            break
          case 'removeKnown':
            if (id === 0) continue
            list.removeKnown(id)
            naive.remove(step.name)
            break
          case 'clone': {
            const before = list
            list = list.clone()
            before.set('X-Two', 'other')
            before.append('X-One', 'other')
            break
          }
        }
        agree(list, naive)
      }
    }),
    { numRuns: 400 },
  )
})

test('names are found with - and _ taken for equal', () => {
  const list = received(['X_One: a', 'x-two: b', 'X-ONE: c'])
  list.append('x_one', 'd')
  const values: string[] = []
  for (let at = list.nextLike('x-one', -1); at >= 0; at = list.nextLike('x-one', at)) values.push(list.valueAt(at))
  assert.deepEqual(values, ['a', 'c', 'd'])
  assert.equal(list.get('X-One'), 'c', 'other look-ups tell them apart')
})

test('an object has lower-case names and lists for what came twice', () => {
  const object = received(['X-One: a', 'x-one: b', 'X-One: c', '__proto__: d']).toObject()
  assert.deepEqual(object['x-one'], ['a', 'b', 'c'])
  assert.equal(object['__proto__'], 'd')
})

test('every known name is recognised in any case, as text and as bytes, and nothing near it', () => {
  for (const [name, id] of Object.entries(headerId)) {
    for (const text of [name, name.toUpperCase(), name[0]!.toUpperCase() + name.slice(1)]) {
      assert.equal(identifyHeader(`x${text}y`, 1, 1 + text.length), id)
      assert.equal(identifyHeaderBytes(Buffer.from(`x${text}y`), 1, 1 + text.length), id)
    }
    for (const other of [
      name.slice(1),
      name + 'x',
      name.replace(/-/g, '_'),
      '\x00' + name.slice(1),
      name.replace(/[a-z]$/, '\x01'),
    ]) {
      if (other in headerId) continue
      assert.equal(identifyHeader(other, 0, other.length), 0, other)
      assert.equal(identifyHeaderBytes(Buffer.from(other), 0, other.length), 0, other)
    }
  }
})
