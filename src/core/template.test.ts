import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileTemplate, type TemplateScope } from './template.ts'

function scope(values: Readonly<Record<string, unknown>>): TemplateScope {
  return { failure: null, lookup: (name) => (Object.hasOwn(values, name) ? values[name] : undefined) }
}

function render(text: string, values: Readonly<Record<string, unknown>> = {}): string | null {
  const compiled = compileTemplate(text)
  assert.ok(compiled.ok, compiled.ok ? '' : compiled.reason)
  return compiled.template.render(scope(values))
}

function failureOf(text: string, values: Readonly<Record<string, unknown>> = {}): string | null {
  const compiled = compileTemplate(text)
  assert.ok(compiled.ok)
  const used = scope(values)
  assert.equal(compiled.template.render(used), null)
  return used.failure
}

function reasonOf(text: string): string {
  const compiled = compileTemplate(text)
  assert.ok(!compiled.ok, `${text} was accepted`)
  return compiled.reason
}

const HEADERS = { headers: { 'x-in': 'hv', empty: '' }, query_params: { q: 'val', bare: true, list: ['a', 'b'] } }

const RENDERED: readonly (readonly [template: string, text: string])[] = [
  ['plain', 'plain'],
  ['', ''],
  ['$100', '$100'],
  ['a $ b $', 'a $ b $'],
  ['$(query_params.q)', 'val'],
  ['pre-$(query_params.q)-post', 'pre-val-post'],
  ['$(query_params.q)$(query_params.q)', 'valval'],
  ['$(headers["x-in"])', 'hv'],
  ["$(headers['x-in'])", 'hv'],
  ['$( headers [ "x-in" ] )', 'hv'],
  ['$(query_params.zz)', ''],
  ['$(query_params.zz or "default")', 'default'],
  ['$(query_params.zz or headers.yy or "last")', 'last'],
  ['$(headers.empty or "default")', ''],
  ['$(upper and "u" or "none")', 'none'],
  ['$(query_params.q and "has" or "has not")', 'has'],
  ['$(not query_params.q and "no" or "yes")', 'yes'],
  ['$(query_params.bare)', 'true'],
  ['$(false)', ''],
  ['$(nil)', ''],
  ['$(query_params.list)', 'a, b'],
  ['$(query_params.list[2])', 'b'],
  ['$(query_params.list[0])', ''],
  ['$("v" .. 1 .. query_params.q)', 'v1val'],
  ['$(query_params.q == "val" and "same" or "other")', 'same'],
  ['$(query_params.zz == nil and "absent")', 'absent'],
  ['$(query_params.q ~= "val")', ''],
  ['$(2 < 10)', 'true'],
  ['$("b" >= "a")', 'true'],
  ['$((query_params.zz or query_params.q))', 'val'],
  ['$("a\\"b\\n")', 'a"b\n'],
  ['$(query_params.q.r)', ''],
]
for (const [template, text] of RENDERED) {
  test(`renders ${JSON.stringify(template)}`, () => assert.equal(render(template, HEADERS), text))
}

test('text without a closing parenthesis is plain, as in Kong', () => {
  assert.equal(render('x $(1 +'), 'x $(1 +')
  assert.equal(render('$(($(query_params.q)', HEADERS), '$((val')
})

test('a text without expressions is known to be constant', () => {
  const compiled = compileTemplate('so $100')
  assert.ok(compiled.ok)
  assert.equal(compiled.template.constant, 'so $100')
})

test('names the values that expressions use', () => {
  const compiled = compileTemplate('$(headers.a or shared.b) $(upper and 1)')
  assert.ok(compiled.ok)
  assert.equal(compiled.template.constant, null)
  assert.deepEqual([...compiled.template.names], ['headers', 'shared', 'upper'])
})

test('a field of what is not there fails the rendering and says which', () => {
  assert.match(failureOf('$(query_params.q.r.s)', HEADERS)!, /field 's' of nil/)
  assert.match(failureOf('$(nobody.name)')!, /field 'name' of nil/)
  assert.match(failureOf('$(query_params.bare.x)', HEADERS)!, /field 'x' of a boolean/)
})

test('joining or comparing what has no order fails the rendering', () => {
  assert.match(failureOf('$("a" .. query_params.zz)', HEADERS)!, /'\.\.' of nil/)
  assert.match(failureOf('$(query_params.q < 3)', HEADERS)!, /comparison of a string with a number/)
  assert.match(failureOf('$(headers)', HEADERS)!, /got a table/)
})

test('an alternative that is not needed is not looked at', () => {
  assert.equal(render('$(query_params.q or nobody.name)', HEADERS), 'val')
})

test('a value inherited by every JavaScript object is not there', () => {
  assert.equal(render('$(headers.constructor)$(headers.__proto__)$(query_params.toString)', HEADERS), '')
})

const REFUSED: readonly (readonly [template: string, reason: RegExp])[] = [
  ['$(string.upper(headers.x))', /function calls are not available/],
  ['$((function() return 1 end)())', /Lua code \('function'\)/],
  ['$(headers.x:upper())', /method calls are not available/],
  ['$(1 + 2)', /'\+' is not available/],
  ['$(#headers)', /'#' is not available/],
  ['$(-1)', /'-' is not available/],
  ['$()', /'the end' is not expected/],
  ['$(headers.)', /expected a field name/],
  ['$(headers["a")', /expected ']'/],
  ['$(headers headers)', /'headers' is not expected/],
  ['$(or 1)', /'or' is not expected/],
  ['$("open)', /'"' is not available/],
  ['$("\\z")', /'\\z' in a string/],
  ['$(...)', /'\.\.\.' is not available/],
  ['$(1x)', /is not available/],
]
for (const [template, reason] of REFUSED) {
  test(`refuses ${JSON.stringify(template)}`, () => assert.match(reasonOf(template), reason))
}

test('nesting without end is refused instead of exhausting the stack', () => {
  assert.match(reasonOf(`$(${'('.repeat(10_000)}1${')'.repeat(10_000)})`), /nested too deeply/)
})

test('no text makes compiling or rendering throw', () => {
  const fragment = fc.constantFrom(
    '$(',
    ')',
    '(',
    'headers',
    '.',
    'x',
    '["a"]',
    ' or ',
    ' and ',
    'not ',
    '"s"',
    '1',
    ' .. ',
    ' == ',
    'nil',
  )
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 30 }), (fragments) => {
      const compiled = compileTemplate(fragments.join(''))
      if (!compiled.ok) return assert.notEqual(compiled.reason, '')
      const used = scope(HEADERS)
      const text = compiled.template.render(used)
      assert.equal(text === null, used.failure !== null)
    }),
  )
})
