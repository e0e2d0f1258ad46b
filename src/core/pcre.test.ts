import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileSafeRegex, type SafeRegex, type SafeRegexOptions } from './pcre.ts'

function compile(pattern: string, options?: SafeRegexOptions): SafeRegex {
  const compiled = compileSafeRegex(pattern, options)
  assert.ok(compiled.ok, `${pattern}: ${compiled.ok ? '' : compiled.reason}`)
  return compiled.regex
}

function refusal(pattern: string): string {
  const compiled = compileSafeRegex(pattern)
  assert.ok(!compiled.ok, `${pattern} is refused`)
  return compiled.reason
}

test('a pattern that backtracks without end is finished in linear time', () => {
  // Without the linear engine each of these takes longer than the age of the universe.
  for (const pattern of ['(a+)+$', '^(a|a)*$', '^(a|aa)+$', '^(?:(?:a*)*)*$', '^(([a-z])+.)+[A-Z]([a-z])+$'])
    assert.equal(compile(pattern).test(`${'a'.repeat(2000)}!`), false, pattern)
  const nested = compile('/(x+x+)+y', { isAnchored: true })
  assert.equal(nested.exec(`/${'x'.repeat(3000)}`), null)
  assert.equal(nested.exec(`/${'x'.repeat(30)}y`)?.text, `/${'x'.repeat(30)}y`)
})

test("PCRE's and Rust's syntax means what it means there", () => {
  for (const [pattern, matches, misses] of [
    [String.raw`\A/a\z`, ['/a'], ['/ab', 'x/a']],
    [String.raw`/a\Z`, ['/a'], ['/ab']],
    ['/(?i)ab', ['/ab', '/AB', '/aB'], ['/ac']],
    ['/(?i:a)b', ['/Ab'], ['/AB']],
    ['/a(?i)b|/c', ['/aB', '/C'], ['/AB']],
    ['/(?i)a(?-i)b', ['/Ab'], ['/AB']],
    ['/((?i)a)b', ['/Ab'], ['/AB']],
    ['(?x) /a  # first\n /b', ['/a/b'], ['/a /b']],
    [String.raw`/\Qa.b*\E+`, ['/a.b*', '/a.b**'], ['/axb']],
    ['/(?#any) x', ['/ x'], ['/x']],
    ['[[:digit:]][[:^alpha:]][[:upper:]]', ['1-A'], ['1aA', 'x-A']],
    ['[]a]+$', [']a'], ['b']],
    ['[^]a]+$', ['b'], [']']],
    [String.raw`[\w.-]+@`, ['a-.b@'], [' @']],
    ['[a-]x', ['-x', 'ax'], ['bx']],
    [String.raw`\x2fa\x{2f}\057\o{57}`, ['/a///'], ['a']],
    [String.raw`a\h+b\Hc`, ['a \tbxc'], ['a\nbxc', 'a b c']],
    [String.raw`\pL\p{Lu}\P{N}\p{^L}`, ['aB-1'], ['ab-1', '1B-1']],
    ['a{,2}', ['a{,2}'], ['aa']],
    ['a{2}{x', ['aa{x'], ['a{x']],
    [String.raw`a\N.b`, ['axyb'], ['a\nyb', 'ax\nb']],
    ['(?s)a.b', ['a\nb'], ['ab']],
    ['a.b', ['a\rb'], ['a\nb']],
    [String.raw`\bfoo\B`, ['a foox'], ['afoox', 'foo']],
    ['(?<=/)b(?<!xb)', ['a/b'], ['ab']],
    ['x$', ['ax'], ['xa']],
    [String.raw`\cA\e\t`, ['\u0001\u001b\t'], ['A']],
  ] as const) {
    const regex = compile(pattern)
    for (const text of matches) assert.equal(regex.test(text), true, `${pattern} matches ${JSON.stringify(text)}`)
    for (const text of misses)
      assert.equal(regex.test(text), false, `${pattern} does not match ${JSON.stringify(text)}`)
  }
})

test('an anchored pattern matches at the start only, in every alternative', () => {
  const regex = compile('/a|/b', { isAnchored: true })
  assert.equal(regex.exec('/b/x')?.text, '/b')
  assert.equal(regex.test('/x/b'), false)
})

test('for lower-case subjects the letters of a pattern are lower-case ones, but its classes stay', () => {
  const regex = compile(String.raw`^V[A-C]\S+$`, { lowerCase: true })
  assert.equal(regex.test('va-1'), true)
  assert.equal(regex.test('va '), false)
})

test('groups keep number and name in all the ways of naming them', () => {
  const regex = compile(String.raw`/(?<a>\d)(?P<b>x)?(?'c'y)(z)`)
  assert.deepEqual(regex.groupNames, [null, 'a', 'b', 'c', null])
  assert.deepEqual(regex.exec('-/1yz-'), { text: '/1yz', groups: ['/1yz', '1', null, 'y', 'z'] })
  assert.match(refusal('(?<a>x)(?<a>y)'), /'a' is used twice/)
})

test('a possessive quantifier is taken where it changes nothing, else refused', () => {
  assert.deepEqual(compile('/([^/]++)/(?>[0-9]+)$').exec('/ab/12')?.groups, ['/ab/12', 'ab'])
  assert.equal(compile('a*+').exec('aab')?.text, 'aa')
  assert.equal(compile('a?+b').test('ab'), true)
  assert.equal(compile('(?:a++b)+c').test('aababc'), true)
  assert.equal(compile('(?>abc)d').test('abcd'), true)
  for (const pattern of ['a++a', '(?:ab)++c', '(?:a++b?)*c', String.raw`a++\b`, '(?>a|ab)c'])
    assert.match(refusal(pattern), /possessive/)
})

test('large counts are matched in linear time, by V8 where no group is repeated and by RE2 elsewhere', () => {
  const plain = compile('/[0-9a-f]{32}/[^/]{1,64}$', { isAnchored: true })
  assert.equal(plain.engine, 'v8')
  assert.equal(plain.test(`/${'0a'.repeat(16)}/${'x'.repeat(64)}`), true)
  assert.equal(plain.test(`/${'0a'.repeat(16)}/${'x'.repeat(65)}`), false)
  assert.equal(plain.test(`/${'0a'.repeat(15)}0/x`), false)
  assert.equal(compile('^a{20,}$').test('a'.repeat(19)), false)
  assert.equal(compile('^a{20,}$').test('a'.repeat(21)), true)
  assert.equal(compile('^(?:a{1,30}?)').exec('aaa')?.text, 'a')
  const grouped = compile('(a|b){20}c')
  assert.equal(grouped.engine, 're2')
  assert.deepEqual(grouped.exec(`x${'ab'.repeat(10)}c`), {
    text: `${'ab'.repeat(10)}c`,
    groups: [`${'ab'.repeat(10)}c`, 'b'],
  })
  assert.equal(grouped.test(`${'ab'.repeat(9)}c`), false)
})

test('what cannot be matched in linear time is refused with the reason', () => {
  for (const [pattern, reason] of [
    ['(?!health)x', /^look-around cannot be matched in linear time$/],
    ['(?=a)b', /linear time/],
    [String.raw`(a)\1`, /back-references/],
    [String.raw`(?<n>a)\k<n>`, /back-references/],
    ['(a{500}){500}', /linear time .*repeat/],
    ['(?R)', /flag 'R'/],
    ['(?1)', /not supported/],
    ['(?(1)a|b)', /not supported/],
    ['(*SKIP)a', /verbs/],
    [String.raw`\p{Greek}`, /property .* at character 10/],
    ['x'.repeat(5000), /at most 4096 characters, got 5000/],
  ] as const)
    assert.match(refusal(pattern), reason)
})

test('a malformed pattern is refused with the place', () => {
  for (const [pattern, reason] of [
    ['a)', /unmatched \) at character 2/],
    ['(a', /missing \) at character 3/],
    ['[a', /missing \]/],
    ['*a', /nothing to repeat/],
    ['a**', /nothing to repeat/],
    ['a{3,2}', /out of order/],
    ['[b-a]', /out of order/],
    ['a\\', /\\ at the end/],
    [String.raw`\y`, /escape \\y/],
    ['(?<1a>b)', /not supported/],
    ['(?j)a', /flag 'j'/],
    ['('.repeat(150) + ')'.repeat(150), /nested deeper/],
  ] as const)
    assert.match(refusal(pattern), reason)
})

test('the literal prefix is a text that every match begins with', () => {
  for (const [pattern, prefix] of [
    [String.raw`/users/\d+`, '/users/'],
    ['^/a(/b)(?:c|d)', '/a/b'],
    ['/ab?', '/a'],
    ['/ab+c', '/ab'],
    ['/(?i)ab', '/'],
    ['/ab|/ac', '/a'],
    ['(?:/x/(?:y1|y2))z', '/x/y'],
    ['a|b', ''],
    [String.raw`/a\.b$`, '/a.b'],
    ['/(?<=/)a', '/'],
  ] as const)
    assert.equal(compile(pattern).literalPrefix, prefix, pattern)
})

test('patterns that JavaScript has too find the same text and groups as there', () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', String.raw`\d`, String.raw`\W`, '/')
  const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{0,3}?')
  const { pattern } = fc.letrec<{ pattern: string; item: string; group: string }>((tie) => ({
    pattern: fc.array(tie('item'), { minLength: 1, maxLength: 4 }).map((items) => items.join('')),
    item: fc
      .tuple(
        fc.oneof({ maxDepth: 2 }, { arbitrary: atom, weight: 3 }, { arbitrary: tie('group'), weight: 1 }),
        quantifier,
      )
      .map(([item, sign]) => item + sign),
    group: fc
      .tuple(fc.constantFrom('(', '(?:'), tie('pattern'), fc.option(tie('pattern')))
      .map(([opening, first, second]) => `${opening}${first}${second === null ? '' : `|${second}`})`),
  }))
  const subject = fc.array(fc.constantFrom('a', 'b', '/', '1'), { maxLength: 10 }).map((letters) => letters.join(''))
  fc.assert(
    fc.property(pattern, subject, (source, text) => {
      const compiled = compileSafeRegex(source)
      // Nested counts may be too large for the linear engines.
      fc.pre(compiled.ok)
      const expected = new RegExp(source).exec(text)
      const found = compiled.regex.exec(text)
      if (compiled.regex.engine === 'v8')
        assert.deepEqual(
          found?.groups,
          expected?.map((group) => (group as string | undefined) ?? null),
        )
      assert.equal(found?.text, expected?.[0])
      assert.equal(compiled.regex.test(text), expected !== null)
      if (expected !== null) assert.ok(expected[0].startsWith(compiled.regex.literalPrefix))
    }),
    { numRuns: 2000 },
  )
})
