import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { escapeUpstreamPath, normalizePath, upstreamPath } from './path.ts'

type Row = [
  servicePath: string | null,
  routePath: string | null,
  stripPath: boolean,
  requestPath: string,
  v0: string,
  v1: string,
]
const { rows } = JSON.parse(readFileSync(new URL('fixtures/upstream-uri.json', import.meta.url), 'utf8')) as {
  rows: Row[]
}

test('the path sent upstream is the one of the table, in both path handlings', () => {
  assert.equal(rows.length, 104)
  for (const [servicePath, matchedPath, stripPath, requestPath, v0, v1] of rows) {
    const input = { servicePath, matchedPath, stripPath, requestPath }
    assert.equal(upstreamPath({ ...input, pathHandling: 'v0' }), v0, JSON.stringify({ ...input, pathHandling: 'v0' }))
    assert.equal(upstreamPath({ ...input, pathHandling: 'v1' }), v1, JSON.stringify({ ...input, pathHandling: 'v1' }))
  }
})

test('what remains after stripping cannot climb out of the service path', () => {
  for (const [requestPath, expected] of [
    ['/a..', '/s'],
    ['/a.', '/s'],
    ['/a../x', '/s/x'],
    ['/a./x', '/s/x'],
    ['/a...', '/s/...'],
    ['/a.hidden', '/s/.hidden'],
  ] as const) {
    const input = { servicePath: '/s', matchedPath: '/a', stripPath: true, pathHandling: 'v0' as const }
    assert.equal(upstreamPath({ ...input, requestPath }), expected)
  }
})

test('the normal form decodes all but reserved and control characters, whose escapes are in upper case', () => {
  for (const [raw, normal] of [
    ['/%61%7e%2D%2e%5F', '/a~-._'],
    ['/a%2fb', '/a%2Fb'],
    ['/caf%c3%a9', '/caf\u00c3\u00a9'],
    ['/%e6%97%a5', '/\u00e6\u0097\u00a5'],
    ['/%2525', '/%2525'],
    ['/sp%20ace%7c%22', '/sp ace|"'],
    ['/%0d%0a%00%7f', '/%0D%0A%00%7F'],
    ['/%zz/%4', '/%zz/%4'],
    ['/a/%2e%2e/b', '/b'],
    ['/a/%2E/b', '/a/b'],
    ['/a/%2e%2e%2fx', '/a/..%2Fx'],
  ] as const)
    assert.equal(normalizePath(raw), normal)
})

test('the normal form has neither dot segments nor empty ones', () => {
  for (const [raw, normal] of [
    ['/', '/'],
    ['', ''],
    ['//', '/'],
    ['/a//b', '/a/b'],
    ['/a///', '/a/'],
    ['/./a', '/a'],
    ['/a/.', '/a/'],
    ['/a/..', '/'],
    ['/a/b/..', '/a/'],
    ['/a/b/../', '/a/'],
    ['/..', '/'],
    ['/../../x', '/x'],
    ['/a/..//b', '/b'],
    ['/.hidden', '/.hidden'],
    ['/..hidden/...', '/..hidden/...'],
    ['*', '*'],
    ['.', ''],
    ['../a', 'a'],
  ] as const)
    assert.equal(normalizePath(raw), normal, raw)
})

test('the normal form is the one of the step by step algorithm, and a path in normal form is returned as it is', () => {
  const piece = fc.constantFrom(
    '/',
    '//',
    '.',
    '..',
    '/./',
    '/../',
    'a',
    'b',
    '%2e',
    '%2F',
    '%61',
    '%',
    '%4',
    '%c3',
    '-',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, isAbsolute) => {
      const raw = (isAbsolute ? '/' : '') + pieces.join('')
      const normal = normalizePath(raw)
      assert.equal(normal, slowNormalForm(raw))
      const isWhole = !/%(?![0-9a-f]{2})/i.test(raw)
      if (isAbsolute && isWhole) assert.equal(normalizePath(normal), normal)
    }),
    { numRuns: 3000 },
  )
})

test('what may not stand in a request line is escaped, and nothing else', () => {
  assert.equal(escapeUpstreamPath('/a|b\\{c}^`"d" e'), '/a%7Cb%5C%7Bc%7D%5E%60%22d%22%20e')
  assert.equal(escapeUpstreamPath('/caf\u00c3\u00a9\u0001'), '/caf%C3%A9%01')
  assert.equal(escapeUpstreamPath('/\u{1f600}'), '/%F0%9F%98%80')
  const safe = "/!#$&'()*+,:;=?@[]-_.~%41Az09"
  assert.equal(escapeUpstreamPath(safe), safe)
})

/** The algorithm as it is usually described: look at the start of what is left, take or drop it. */
function slowNormalForm(raw: string): string {
  let rest = raw.replace(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[\w.~-]|[\xa0-\xff]/.test(character) ? character : escape.toUpperCase()
  })
  const output: string[] = []
  while (rest !== '') {
    if (rest === '/.') rest = '/'
    else if (rest === '/..') {
      rest = '/'
      output.pop()
    } else if (rest === '.' || rest === '..') rest = ''
    else if (rest.startsWith('../')) rest = rest.slice(3)
    else if (rest.startsWith('./')) rest = rest.slice(2)
    else if (rest.startsWith('/./')) rest = rest.slice(2)
    else if (rest.startsWith('/../')) {
      rest = rest.slice(3)
      output.pop()
    } else if (rest.startsWith('//')) rest = rest.slice(1)
    else {
      const next = rest.indexOf('/', 1)
      output.push(next < 0 ? rest : rest.slice(0, next))
      rest = next < 0 ? '' : rest.slice(next)
    }
  }
  return output.join('')
}
