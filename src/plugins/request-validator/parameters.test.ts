import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeExchange } from '#pdk/testing'
import { SchemaCompiler } from './json-schema.ts'
import { Parameter, ParameterSource } from './parameters.ts'
import { STYLES, type Place, type Style } from './styles.ts'
import { hintsOf } from './type-hints.ts'

interface Input {
  readonly query?: string
  readonly path?: string
  readonly header?: string | readonly string[]
  readonly cookie?: string
}

function check(place: Place, style: Style, explode: boolean, schema: object | null, input: Input): string | null {
  const parameter = new Parameter({
    name: 'p',
    place,
    style,
    explode,
    isRequired: true,
    judge: schema === null ? null : judgeOf(schema),
    hints: hintsOf(schema, () => undefined),
    isJson: false,
  })
  const headers: [string, string][] = []
  for (const value of typeof input.header === 'string' ? [input.header] : (input.header ?? []))
    headers.push(['p', value])
  if (input.cookie !== undefined) headers.push(['Cookie', input.cookie])
  const exchange = fakeExchange({ query: input.query ?? null, headers })
  return parameter.check(new ParameterSource(exchange, () => input.path ?? null))
}

const compiler = new SchemaCompiler('draft202012', true)
function judgeOf(schema: object) {
  const compiled = compiler.compile(schema)
  assert.ok(compiled.ok)
  return compiled.judge
}

const LIST = { type: 'array', items: { type: 'integer' }, const: [1, 2, 3] }
const OBJECT = {
  type: 'object',
  properties: { a: { type: 'integer' }, b: { type: 'string' } },
  const: { a: 1, b: 'x,y' },
}
const PLAIN = {
  type: 'object',
  properties: { a: { type: 'integer' }, b: { type: 'boolean' } },
  const: { a: 1, b: true },
}

const read: readonly [Place, Style, explode: boolean, schema: object, Input][] = [
  ['path', 'simple', false, { type: 'string', const: 'a b/c+ü' }, { path: 'a%20b%2Fc+%C3%BC' }],
  ['path', 'simple', false, LIST, { path: '1,2,3' }],
  ['path', 'simple', true, LIST, { path: '1,2,3' }],
  ['path', 'simple', false, OBJECT, { path: 'a,1,b,x%2Cy' }],
  ['path', 'simple', true, OBJECT, { path: 'a=1,b=x%2Cy' }],
  ['path', 'label', false, { type: 'integer', const: 5 }, { path: '.5' }],
  ['path', 'label', false, LIST, { path: '.1,2,3' }],
  ['path', 'label', true, LIST, { path: '.1.2.3' }],
  ['path', 'label', true, PLAIN, { path: '.a=1.b=true' }],
  ['path', 'label', false, PLAIN, { path: '.a,1,b,true' }],
  ['path', 'matrix', false, { type: 'integer', const: 5 }, { path: ';p=5' }],
  ['path', 'matrix', false, LIST, { path: ';p=1,2,3' }],
  ['path', 'matrix', true, LIST, { path: ';p=1;p=2;p=3' }],
  ['path', 'matrix', true, PLAIN, { path: ';a=1;b=true' }],
  ['path', 'matrix', false, PLAIN, { path: ';p=a,1,b,true' }],
  ['query', 'form', true, { type: 'string', const: 'a b+c' }, { query: 'p=a+b%2Bc' }],
  ['query', 'form', true, { type: 'number', const: -1.5e3 }, { query: 'p=-1.5e3' }],
  ['query', 'form', true, { type: ['integer', 'null'], const: null }, { query: 'p=' }],
  ['query', 'form', true, { type: 'string', const: '' }, { query: 'p' }],
  ['query', 'form', true, { enum: [1, 2] }, { query: 'p=2' }],
  ['query', 'form', true, LIST, { query: 'p=1&x=9&p=2&p=3' }],
  ['query', 'form', false, LIST, { query: 'p=1,2,3' }],
  ['query', 'form', false, LIST, { query: '%70=1,2,3' }],
  ['query', 'form', true, PLAIN, { query: 'a=1&other=x&b=true' }],
  ['query', 'form', false, OBJECT, { query: 'p=a,1,b,x%2Cy' }],
  ['query', 'spaceDelimited', false, LIST, { query: 'p=1%202+3' }],
  ['query', 'pipeDelimited', false, LIST, { query: 'p=1|2%7C3' }],
  ['query', 'deepObject', true, PLAIN, { query: 'p[a]=1&p%5Bb%5D=true&q[c]=2' }],
  ['header', 'simple', false, { type: 'boolean', const: true }, { header: 'true' }],
  ['header', 'simple', false, LIST, { header: ['1, 2', '3'] }],
  ['header', 'simple', true, PLAIN, { header: 'a=1, b=true' }],
  ['cookie', 'form', false, { type: 'integer', const: 7 }, { cookie: 'x=1; p=7' }],
]
for (const [place, style, explode, schema, input] of read) {
  test(`reads ${JSON.stringify(input)} as ${style}${explode ? ', exploded' : ''}`, () => {
    assert.equal(check(place, style, explode, schema, input), null)
  })
}

const wrong: readonly [Place, Style, explode: boolean, schema: object, Input, problem: string][] = [
  ['query', 'form', true, { type: 'integer' }, {}, "query 'p' is required"],
  ['query', 'form', true, { type: 'integer' }, { query: 'P=1' }, "query 'p' is required"],
  ['query', 'form', true, { type: 'integer' }, { query: 'p=1&p=1' }, "query 'p' has several values"],
  ['query', 'form', true, { type: 'integer' }, { query: 'p=0x10' }, "query 'p' must be integer"],
  ['query', 'form', true, { type: 'integer' }, { query: 'p=01' }, "query 'p' must be integer"],
  ['query', 'form', true, { type: 'integer' }, { query: 'p=1.5' }, "query 'p' must be integer"],
  ['query', 'form', true, { type: 'integer' }, { query: 'p=' }, "query 'p' must be integer"],
  ['query', 'form', true, { type: 'number' }, { query: 'p=NaN' }, "query 'p' must be number"],
  ['query', 'form', true, { type: 'boolean' }, { query: 'p=TRUE' }, "query 'p' must be boolean"],
  [
    'query',
    'form',
    true,
    { type: 'array', items: { type: 'integer' } },
    { query: 'p=1&p=x' },
    "query 'p' /1 must be integer",
  ],
  ['query', 'form', false, OBJECT, { query: 'p=a,1,b' }, "query 'p' has a name without a value"],
  ['query', 'deepObject', true, PLAIN, { query: 'p[a]=1&p[b][c]=2' }, "query 'p' has to be p[NAME]="],
  ['query', 'deepObject', true, PLAIN, { query: 'p[a]=1&p[a]=2' }, "query 'p' has a member twice"],
  ['path', 'label', false, LIST, { path: '1,2,3' }, "path 'p' has to begin with '.'"],
  ['path', 'matrix', false, LIST, { path: 'p=1' }, "path 'p' has to begin with ';'"],
  ['path', 'matrix', false, LIST, { path: ';q=1' }, "path 'p' has to be ;p="],
  ['path', 'matrix', false, { type: 'integer' }, { path: ';p=1;p=2' }, "path 'p' has several values"],
  ['header', 'simple', false, { type: 'integer' }, { header: ['1', '2'] }, "header 'p' must be integer"],
  ['cookie', 'form', false, { type: 'integer' }, { cookie: 'p=1; p=2' }, "cookie 'p' has several values"],
]
for (const [place, style, explode, schema, input, problem] of wrong) {
  test(`refuses ${JSON.stringify(input)}: ${problem}`, () => {
    assert.equal(check(place, style, explode, schema, input), problem)
  })
}

test('a member of the name __proto__ is one of the object', () => {
  const schema = { type: 'object', additionalProperties: false }
  assert.equal(
    check('path', 'simple', true, schema, { path: '__proto__=1' }),
    `path 'p' must NOT have the property "__proto__"`,
  )
})

test('whatever comes is judged or refused, and nothing throws', () => {
  const places = fc.constantFrom(...(Object.keys(STYLES) as Place[]))
  const text = fc.string({ unit: fc.constantFrom(...'p = ; . , | & [ ] % 2 0 + a 1 " \\ { } \u00fc'.split(' '), ' ') })
  fc.assert(
    fc.property(
      places,
      fc.nat(3),
      fc.boolean(),
      fc.constantFrom(LIST, PLAIN, null),
      text,
      (place, at, explode, schema, raw) => {
        const styles = STYLES[place]
        const problem = check(place, styles[at % styles.length]!, explode, schema, {
          query: raw,
          path: raw,
          header: raw.trim(),
          cookie: raw.trim(),
        })
        assert.ok(problem === null || problem.startsWith(`${place} 'p' `))
      },
    ),
    { numRuns: 500 },
  )
})
