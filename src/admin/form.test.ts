import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Field } from '#model/field.ts'
import { fieldsFrom, FORM_DEPTH_MAX, FORM_ENTRIES_MAX, parseForm, typeForm } from './form.ts'

const fields = {
  name: { type: 'string' },
  port: { type: 'integer' },
  enabled: { type: 'boolean' },
  tags: { type: 'set', elements: { type: 'string' } },
  codes: { type: 'array', elements: { type: 'integer' } },
  headers: { type: 'map', keys: { type: 'string' }, values: { type: 'array', elements: { type: 'string' } } },
  sources: { type: 'set', elements: { type: 'record', fields: { ip: { type: 'string' }, port: { type: 'integer' } } } },
  service: { type: 'foreign', reference: 'services' },
  config: {
    type: 'record',
    fields: {
      limits: {
        type: 'map',
        keys: { type: 'string' },
        values: { type: 'record', fields: { minute: { type: 'number' } } },
      },
    },
  },
} as const satisfies Record<string, Field>

function read(...pairs: readonly (readonly [name: string, value: string])[]): Record<string, unknown> {
  const parsed = parseForm(pairs.map(([name, text]) => ({ name, value: { text } })))
  assert.ok(parsed.ok, 'message' in parsed ? parsed.message : '')
  return typeForm(parsed.form, fieldsFrom(fields))
}

test('values get the types of their fields, and what does not fit stays text for the model to refuse', () => {
  assert.deepEqual(read(['name', '5'], ['port', '81'], ['enabled', 'false']), { name: '5', port: 81, enabled: false })
  assert.deepEqual(read(['port', 'abc'], ['enabled', 'maybe']), { port: 'abc', enabled: 'maybe' })
})

test('an empty value is null, also for a list', () => {
  assert.deepEqual(read(['name', ''], ['tags', '']), { name: null, tags: null })
})

test('a list is written as one value, repeated, with brackets, or numbered from 1 in any order', () => {
  assert.deepEqual(read(['tags', 'a']), { tags: ['a'] })
  assert.deepEqual(read(['tags', 'a'], ['tags', 'b']), { tags: ['a', 'b'] })
  assert.deepEqual(read(['tags[]', 'a'], ['tags[]', 'b']), { tags: ['a', 'b'] })
  assert.deepEqual(read(['codes[2]', '20'], ['codes[10]', '100'], ['codes[1]', '10']), { codes: [10, 20, 100] })
  assert.deepEqual(read(['tags', 'a,b']), { tags: ['a,b'] })
})

test('records and maps nest by dots and by brackets', () => {
  assert.deepEqual(read(['sources[1].ip', '10.0.0.1'], ['sources[1].port', '1'], ['sources[2].port', '2']), {
    sources: [{ ip: '10.0.0.1', port: 1 }, { port: 2 }],
  })
  assert.deepEqual(read(['headers.x-a', '1'], ['headers.x-b[]', '2'], ['headers.x-b[]', '3']), {
    headers: { 'x-a': ['1'], 'x-b': ['2', '3'] },
  })
  assert.deepEqual(read(['headers[x.y]', '1']), { headers: { 'x.y': ['1'] } })
  assert.deepEqual(read(['config.limits[sms].minute', '5']), { config: { limits: { sms: { minute: 5 } } } })
  assert.deepEqual(read(['service.id', '12']), { service: { id: '12' } })
})

test('a numbered key of a map is a key, not an index', () => {
  assert.deepEqual(read(['headers[1]', 'x']), { headers: { 1: ['x'] } })
})

test('a name that is no nesting is taken whole', () => {
  for (const name of ['.name', 'name.', '.', 'a[b', 'a[1]x']) assert.deepEqual(read([name, 'v']), { [name]: 'v' })
})

test('a field named __proto__ is a field, and changes no prototype', () => {
  const input = read(['__proto__.polluted', 'yes'], ['headers[__proto__]', 'x'])
  assert.deepEqual(Object.keys(input), ['__proto__', 'headers'])
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  assert.deepEqual(Object.keys(input['headers'] as object), ['__proto__'])
})

test('forms with too many fields, and names that nest too deep, are refused', () => {
  const many = Array.from({ length: FORM_ENTRIES_MAX + 1 }, (_, i) => ({ name: `a${i}`, value: { text: '' } }))
  assert.equal(parseForm(many).ok, false)
  assert.equal(parseForm([{ name: `a${'.b'.repeat(FORM_DEPTH_MAX)}`, value: { text: '' } }]).ok, false)
  assert.equal(parseForm([{ name: `a${'[]'.repeat(FORM_DEPTH_MAX)}`, value: { text: '' } }]).ok, false)
})

test('any form is read without failing, and reads the same whatever its entries of other names are', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '[', ']', '1', 'tags', 'headers'), maxLength: 12 })
  const entry = fc.record({ name, value: fc.record({ text: fc.string({ maxLength: 5 }) }) })
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
      const parsed = parseForm(entries)
      if (!parsed.ok) return
      const input = typeForm(parsed.form, fieldsFrom(fields))
      for (const key of Object.keys(input)) {
        const own = entries.filter(
          (one) => one.name === key || one.name.startsWith(`${key}.`) || one.name.startsWith(`${key}[`),
        )
        const alone = parseForm(own)
        assert.ok(alone.ok)
        assert.deepEqual(typeForm(alone.form, fieldsFrom(fields))[key], input[key])
      }
    }),
  )
})

test('nested values written as a form are read back', () => {
  const text = fc.string({ minLength: 1, maxLength: 8 })
  const key = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/)
  const document = fc.record({
    name: text,
    port: fc.integer({ min: 0, max: 65_535 }),
    enabled: fc.boolean(),
    tags: fc.array(text, { minLength: 1, maxLength: 4 }),
    headers: fc.dictionary(key, fc.array(text, { minLength: 1, maxLength: 3 }), {
      minKeys: 1,
      maxKeys: 3,
      noNullPrototype: true,
    }),
  })
  fc.assert(
    fc.property(document, ({ name, port, enabled, tags, headers }) => {
      const pairs: [string, string][] = [
        ['name', name],
        ['port', String(port)],
        ['enabled', String(enabled)],
      ]
      for (const tag of tags) pairs.push(['tags[]', tag])
      for (const [header, values] of Object.entries(headers))
        for (const [i, value] of values.entries()) pairs.push([`headers[${header}][${i + 1}]`, value])
      assert.deepEqual(read(...pairs), { name, port, enabled, tags, headers })
    }),
  )
})
