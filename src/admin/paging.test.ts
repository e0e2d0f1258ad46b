import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offsetAfter } from '#store/offset.ts'
import type { Answer } from './answer.ts'
import { pageAnswer, parsePage, parseSize, parseTags, repeatedArguments, shownOffset } from './paging.ts'
import { parseQuery } from './query.ts'

function messageOf(answer: Answer): unknown {
  return (answer.body as { json: { message: unknown } }).json.message
}

function sizeOf(text: string): unknown {
  const size = parseSize(parseQuery(text))
  return size.ok ? size.value : messageOf(size.answer)
}

test('a page has 100 rows, or as many as are asked for up to 1000', () => {
  assert.deepEqual(['', 'size=1', 'size=1000', 'size=007'].map(sizeOf), [100, 1, 1000, 7])
})

test('sizes that are no number, no integer, out of range or given twice are refused', () => {
  assert.deepEqual(['size=', 'size=x', 'size=1&size=2'].map(sizeOf), Array(3).fill('size must be a number'))
  assert.deepEqual(
    ['size=0', 'size=-1', 'size=1001', 'size=1.5'].map(sizeOf),
    Array(4).fill('size must be an integer between 1 and 1000'),
  )
})

test('an offset goes out without padding and comes back in', () => {
  const offset = shownOffset({ rows: [], offset: offsetAfter('00000000-0000-4000-8000-000000000001') })!
  assert.equal(offset, 'WyIwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEiXQ')
  assert.deepEqual(parsePage(parseQuery(`offset=${offset}`), true), { ok: true, value: { size: 100, offset } })
})

test('offsets that no page gave are refused in the words of the store', () => {
  const refused = (text: string, isDatabase: boolean) => {
    const page = parsePage(parseQuery(text), isDatabase)
    return page.ok ? null : messageOf(page.answer)
  }
  assert.equal(refused('offset=', true), "'' is not a valid offset: bad json encoding")
  assert.equal(refused('offset=a%20b', true), "'a b' is not a valid offset: bad base64 encoding")
  assert.equal(refused('offset=nope', false), "'nope' is not a valid offset: invalid offset")
  assert.equal(refused('offset=e30', true), "'e30' is not a valid offset: bad json encoding")
})

test('tags: commas for all of them, slashes for any', () => {
  const tags = (text: string) => parseTags(parseQuery(`tags=${encodeURIComponent(text)}`))
  assert.deepEqual(tags('a'), { ok: true, value: { match: 'all', values: ['a'] } })
  assert.deepEqual(tags('a,b c,é'), { ok: true, value: { match: 'all', values: ['a', 'b c', 'é'] } })
  assert.deepEqual(tags('a/b'), { ok: true, value: { match: 'any', values: ['a', 'b'] } })
  assert.deepEqual(parseTags(parseQuery('')), { ok: true, value: undefined })
})

test('tags that mix commas and slashes, are empty, have control characters or are more than five are refused', () => {
  const message = (text: string) => {
    const parsed = parseTags(parseQuery(`tags=${encodeURIComponent(text)}`))
    return parsed.ok ? null : messageOf(parsed.answer)
  }
  assert.equal(message(''), 'invalid option (tags: cannot be null)')
  for (const text of ['a,b/c', 'a,,b', ',', '/', 'a\u0001b'])
    assert.equal(message(text), 'invalid option (tags: invalid filter syntax)', text)
  assert.equal(message('a,b,c,d,e'), null)
  assert.equal(message('a/b/c/d/e/f'), 'invalid option (tags: cannot query more than 5 tags)')
})

test('a long run of tags is judged at once', { timeout: 2000 }, () => {
  assert.equal(parseTags(parseQuery(`tags=${'a,'.repeat(20_000)}!,/`)).ok, false)
})

test('next is null on the last page, and repeats what was asked for', () => {
  assert.deepEqual(pageAnswer({ rows: [1] }, '/services', ''), { data: [1], next: null })
  const repeated = repeatedArguments(parseQuery('size=3&tags=t%2Cu&foo=bar'))
  assert.deepEqual(pageAnswer({ rows: [1], offset: 'x=' }, '/services', repeated), {
    data: [1],
    offset: 'x=',
    next: '/services?offset=x%3D&tags=t%2Cu&size=3',
  })
})
