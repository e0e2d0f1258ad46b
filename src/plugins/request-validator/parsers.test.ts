/** Whatever comes, the parsers answer: held against slow, obvious judges where there are any. */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJsonText } from '#pdk/json-text.ts'
import { parseMediaType } from './content-type.ts'
import { SchemaCompiler } from './json-schema.ts'
import { convertKongSchema } from './kong-schema.ts'
import { regexOfLuaPattern } from './lua-pattern.ts'
import { DocumentProblem } from './openapi/document.ts'
import { Operations } from './openapi/operations.ts'
import { isUnique } from './unique-items.ts'

const textOf = (characters: string, maxLength = 30) =>
  fc.string({ unit: fc.constantFrom(...characters.split(' '), ' '), maxLength })

test('what JSON.parse reads is read the same, unless a member is there twice', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      const read = parseJsonText(Buffer.from(text))
      const value: unknown = JSON.parse(text)
      if (read.ok) assert.deepEqual(read.value, value)
      else assert.equal(read.reason, 'has a member twice')
    }),
  )
})

test('a member that is there twice is found at any depth', () => {
  const name = fc.string()
  fc.assert(
    fc.property(name, fc.array(fc.boolean(), { maxLength: 20 }), (twice, around) => {
      const member = JSON.stringify(twice)
      let text = `{${member}:1,"other":[{}],${member}:2}`
      for (const isArray of around) text = isArray ? `[0,${text}]` : `{"x":${text}}`
      assert.deepEqual(parseJsonText(Buffer.from(text)), { ok: false, reason: 'has a member twice' })
    }),
  )
})

test('bytes that JSON.parse refuses are refused', () => {
  fc.assert(
    fc.property(textOf('{ } [ ] : , " \\ a 1 - . e u 0 null true'), (text) => {
      let isJson = true
      try {
        JSON.parse(text)
      } catch {
        // What the judge says no to.
        isJson = false
      }
      if (!isJson) assert.equal(parseJsonText(Buffer.from(text)).ok, false)
    }),
    { numRuns: 500 },
  )
})

test('unique is what no two equal items are', () => {
  const item = fc.oneof(fc.constantFrom(0, -0, 1, '1', true, null, '', 'a'), fc.jsonValue({ maxDepth: 2 }))
  fc.assert(
    fc.property(fc.array(item, { maxLength: 8 }), (given) => {
      // As they come from JSON, where there is no -0 beside 0 for those who compare.
      const items = JSON.parse(JSON.stringify(given)) as unknown[]
      const hasEqual = items.some((one, index) => items.slice(0, index).some((other) => isDeepStrictEqual(one, other)))
      assert.equal(isUnique(items), !hasEqual)
    }),
  )
})

test('a media type that is written down is read again', () => {
  fc.assert(
    fc.property(textOf('a / b ; c = " \\ , * + - charset UTF-8'), (text) => {
      const type = parseMediaType(text)
      if (type === null) return
      const again = parseMediaType(type.name)
      assert.equal(again?.name, type.name)
    }),
    { numRuns: 500 },
  )
})

test("a pattern of Lua's becomes an expression that compiles, or none", () => {
  fc.assert(
    fc.property(textOf('% a d w . * + - ? [ ] ^ $ ( ) A z 0 | { } / \\'), (pattern) => {
      const source = regexOfLuaPattern(pattern)
      if (source !== null) assert.doesNotThrow(() => new RegExp(source), `${pattern} became ${source}`)
    }),
    { numRuns: 1000 },
  )
  const cases: [pattern: string, matching: string, other: string][] = [
    ['^%d+$', '007', '7a'],
    ['^[%w_-]+$', 'a-b_1', 'a b'],
    ['^[^%s]-x$', 'abx', 'a x'],
    ['^a%.b$', 'a.b', 'axb'],
    ['^[]]$', ']', '['],
    ['^.$', '\n', ''],
    ['a|b', 'a|b', 'a'],
    ['^%%{1}$', '%{1}', '%1'],
  ]
  for (const [pattern, matching, other] of cases) {
    const regex = new RegExp(regexOfLuaPattern(pattern)!)
    assert.deepEqual([regex.test(matching), regex.test(other)], [true, false], pattern)
  }
  for (const pattern of ['%b()', '%f[a]', '%1', '[a', '(a', 'a)', '%', '[%W]', '[z-a]'])
    assert.equal(regexOfLuaPattern(pattern), null, pattern)
})

test("whatever stands in body_schema is a schema in Kong's form, or refused", () => {
  const word = fc.constantFrom(
    'type',
    'string',
    'integer',
    'record',
    'fields',
    'elements',
    'array',
    'match',
    'len_min',
    'one_of',
    'x',
    '%a+',
    3,
    true,
    null,
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      word,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(word.map(String), tie('tree'), { maxKeys: 4 }),
    ),
  }))
  const compiler = new SchemaCompiler('draft7', false)
  fc.assert(
    fc.property(tree, (value) => {
      const converted = convertKongSchema(JSON.stringify(value))
      if (converted.ok) assert.notEqual(compiler.compile(converted.schema), null)
    }),
    { numRuns: 300 },
  )
})

test('whatever stands in a document is read, or refused with the place', () => {
  const name = fc.constantFrom(
    '$ref',
    'schema',
    'in',
    'name',
    'query',
    'parameters',
    'get',
    '/a/{b}',
    'requestBody',
    'content',
    'application/json',
    'type',
    'properties',
    'allOf',
    '#/paths',
    'https://x.example/',
    'object',
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      name,
      fc.constantFrom(1, true, null),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(name, tie('tree'), { maxKeys: 5 }),
    ),
  }))
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('/', '/a', '/a/{b}', '/{c}/d', 'x'), tree, { maxKeys: 4 }), (paths) => {
      try {
        const operations = new Operations(JSON.stringify({ openapi: '3.1.0', paths }), null, false)
        operations.checkAll()
        operations.find('GET', '/a/b')
      } catch (error) {
        assert.ok(error instanceof DocumentProblem, String(error))
      }
    }),
    { numRuns: 300 },
  )
})
