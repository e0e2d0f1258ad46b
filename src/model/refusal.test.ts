import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coreEntities } from './entities/index.ts'
import { luaLine, luaText } from './lua-text.ts'
import {
  invalidOptions,
  notFound,
  refusalOfCheck,
  refusalOfViolation,
  schemaViolation,
  STATUS_OF_CODE,
  unresolvedReferences,
  type StateViolation,
} from './refusal.ts'

const ID = '00000000-0000-4000-8000-00000000dddd'
const entities = new Map(coreEntities.map((definition) => [definition.kind, definition]))

test('the message counts the violations, entity errors first, then fields by name', () => {
  assert.equal(schemaViolation({ b: 'x' }).message, 'schema violation (b: x)')
  assert.equal(
    schemaViolation({ b: 'x', '@entity': ['e', 'f'], a: 'y' }).message,
    '4 schema violations (e; f; a: y; b: x)',
  )
})

test('what is one level inside a field is named, deeper errors are written out', () => {
  assert.equal(schemaViolation({ a: { c: 'x', b: 'y' } }).message, '2 schema violations (a.b: y; a.c: x)')
  assert.equal(schemaViolation({ list: [null, 'x'] }).message, 'schema violation (list.2: x)')
  assert.equal(schemaViolation({ a: { b: { c: 'x' } } }).message, 'schema violation (a.b: {\n  c = "x"\n})')
})

test('values are written as Lua prints them', () => {
  assert.equal(luaLine({ b: null, a: 1, c: { id: 'x' } }), '{a=1,b=null,c={id="x"}}')
  assert.equal(luaLine(['x', 'y']), '{"x","y"}')
  assert.equal(luaLine([null, 'x']), '{[2]="x"}')
  assert.equal(luaLine({ '@entity': ['e'], 'X-A': true, end: 1.5 }), '{["@entity"]={"e"},["X-A"]=true,["end"]=1.5}')
  assert.equal(luaText({ a: ['x', { b: 'y' }] }), '{\n  a = {\n    "x",\n    {\n      b = "y"\n    }\n  }\n}')
})

test('texts with quotes are escaped, with line ends they stand in long brackets', () => {
  assert.equal(luaLine('a "b" \\'), '"a \\"b\\" \\\\"')
  assert.equal(luaLine('a\nb'), '[[a\nb]]')
  assert.equal(luaLine('a\n]]b'), '[=[a\n]]b]=]')
  assert.equal(luaLine('\na'), '[[\n\na]]')
})

test('an option that is wrong stands under options', () => {
  const refusal = refusalOfCheck({ fields: { ttl: 'x' }, isOption: true })
  assert.deepEqual(refusal, {
    message: 'invalid option (ttl: x)',
    name: 'invalid options',
    code: 11,
    options: { ttl: 'x' },
  })
  assert.equal(invalidOptions({ tags: 'a', ttl: 'b' }).message, '2 option violations (tags: a; ttl: b)')
})

test('what the state does not allow is told in the words of Kong', () => {
  const messages: [StateViolation, string, number][] = [
    [
      { type: 'unique', kind: 'services', fields: { name: 's' }, existingId: ID },
      `UNIQUE violation detected on '{name="s"}'`,
      409,
    ],
    [{ type: 'primary_key', kind: 'services', id: ID }, `primary key violation on key '{id="${ID}"}'`, 400],
    [
      { type: 'foreign', kind: 'routes', field: 'service', reference: 'services', id: ID },
      `the foreign key '{id="${ID}"}' does not reference an existing 'services' entity.`,
      400,
    ],
    [
      { type: 'restrict', kind: 'services', id: ID, referencedBy: 'routes' },
      "an existing 'routes' entity references this 'services' entity",
      400,
    ],
  ]
  for (const [violation, message, status] of messages) {
    const refusal = refusalOfViolation(violation, entities)
    assert.equal(refusal.message, message)
    assert.equal(STATUS_OF_CODE[refusal.code], status)
  }
})

test('fields that Kong does not have are named only when they are set', () => {
  const fields = { name: 'cors', route: null, service: null, consumer: null, consumer_group: null }
  const violation = { type: 'unique', kind: 'plugins', fields, existingId: ID } as const
  assert.equal(
    refusalOfViolation(violation, entities).message,
    `UNIQUE violation detected on '{consumer=null,name="cors",route=null,service=null}'`,
  )
  const grouped = { ...violation, fields: { ...fields, consumer_group: { id: ID } } }
  assert.match(refusalOfViolation(grouped, entities).message, /consumer_group=\{id=/)
})

test('references that lead to nothing are listed by field', () => {
  const refusal = unresolvedReferences([{ field: 'service', key: 'name', value: 's', kind: 'services' }])
  assert.equal(
    refusal.message,
    `foreign key unresolved (service.name: the foreign key cannot be resolved with '{name="s"}' for an existing 'services' entity)`,
  )
  assert.equal(refusal.code, 13)
})

test('what is not found is named by its key', () => {
  assert.equal(notFound({ id: ID }).message, `could not find the entity with primary key '{id="${ID}"}'`)
})
