import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EVERYTHING, keyName, prefixName, PURGES, tagName } from '#model/cache-names.ts'
import { openTestAdmin, type TestAdmin } from '../support/admin.ts'

const KEY = 'a'.repeat(64)
const PATH = '/proxy-cache/purge'

/** An admin whose purges go through the log; `left` names may be purged. */
function inLog(left = Infinity): Promise<TestAdmin> {
  const responses = {
    get: async () => null,
    isInLog: true,
    mayPurge: (names: number) => names <= left,
    purge: async () => assert.fail('purged past the log'),
  }
  return openTestAdmin({ overrides: { responses } })
}

async function purgedIn({ store }: TestAdmin): Promise<string[]> {
  const { rows } = await store.list(PURGES, {}, { size: 1000 })
  return rows.flatMap(({ document }) => document['names'] as string[]).toSorted()
}

test('what is purged is a revision of the log, whose rows say what', async () => {
  await using admin = await inLog()
  const body = { keys: [KEY], tags: ['x', 'y'], prefixes: ['/a/b', 'Shop.test/c'], everything: false }
  const { status, headers, text } = await admin.call('POST', PATH, body)
  assert.equal(status, 204, text)
  assert.equal(headers.get('x-config-revision'), String((await admin.store.head()).revision))
  const names = [keyName(KEY), tagName('x'), tagName('y'), prefixName(null, '/a/b'), prefixName('shop.test', '/c')]
  assert.deepEqual(await purgedIn(admin), names.toSorted())
})

test('what is purged again is another revision, and not another row', async () => {
  await using admin = await inLog()
  await admin.call('POST', PATH, { tags: ['x'] })
  const { revision } = await admin.store.head()
  const [row] = (await admin.store.list(PURGES, {}, { size: 10 })).rows
  // The same second: the row says the same, and still it was purged once more.
  const answers = await Promise.all([1, 2].map(() => admin.call('POST', PATH, { tags: ['x'] })))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [204, 204],
  )
  const { rows } = await admin.store.list(PURGES, {}, { size: 10 })
  assert.equal(rows.length, 1)
  assert.equal(rows[0]!.document.id, row!.document.id)
  assert.ok((await admin.store.head()).revision > revision)
  assert.ok(rows[0]!.revision > revision)
})

test("Kong's DELETE goes the same way", async () => {
  await using admin = await inLog()
  assert.equal((await admin.call('DELETE', '/proxy-cache')).status, 204)
  assert.deepEqual(await purgedIn(admin), [EVERYTHING])
})

test('a body that says nothing that can be purged gets 400, which names the field', async () => {
  await using admin = await inLog()
  const cases: [unknown, RegExp][] = [
    [{}, /expected keys, prefixes or tags that are not empty, or everything/],
    [{ tags: [] }, /expected keys, prefixes or tags/],
    [{ everything: false }, /expected keys, prefixes or tags/],
    [{ everything: 'yes' }, /everything: expected a boolean/],
    [{ tag: ['x'] }, /tag: expected keys, prefixes, tags or everything/],
    [{ tags: 'x' }, /tags: expected an array of strings/],
    [{ tags: ['a b'] }, /tags\[0\]: expected a tag without space and comma, got "a b"/],
    [{ tags: ['x', 7] }, /tags\[1\]: .*got 7/],
    [{ keys: [KEY.slice(1)] }, /keys\[0\]: expected 64 hexadecimal digits/],
    [{ prefixes: ['a'] }, /prefixes\[0\]: expected a path such as/],
    [{ prefixes: ['/a?b'] }, /prefixes\[0\]/],
    [{ prefixes: ['/a//b'] }, /prefixes\[0\]/],
    [{ prefixes: ['/1/2/3/4/5/6/7/8/9'] }, /at most 8 segments/],
    [{ tags: Array.from({ length: 1001 }, (_, n) => `t${n}`) }, /at most 1000 names, got 1001/],
  ]
  for (const [body, message] of cases) {
    const { status, json } = await admin.call('POST', PATH, body)
    assert.equal(status, 400, JSON.stringify(body).slice(0, 80))
    assert.match(json.message, message)
  }
  assert.deepEqual(await purgedIn(admin), [])
})

test('over the rate 429 says that nothing was purged', async () => {
  await using admin = await inLog(1)
  const refused = await admin.call('POST', PATH, { tags: ['x', 'y'] })
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '1'])
  assert.match(refused.json.message, /proxy_cache_purge_rate/)
  assert.deepEqual(await purgedIn(admin), [])
})

test('where each node has a log of its own it is done at once, and said which Redis did not answer', async () => {
  const purged: string[][] = []
  let silent: string[] = []
  const responses = {
    get: async () => null,
    isInLog: false,
    mayPurge: () => true,
    purge: async (names: readonly string[]) => {
      purged.push([...names])
      return silent
    },
  }
  await using admin = await openTestAdmin({ isDatabase: false, overrides: { responses } })
  assert.equal((await admin.call('POST', PATH, { tags: ['x'] })).status, 204)
  silent = ['main']
  const { status, json } = await admin.call('POST', PATH, { everything: true })
  assert.equal(status, 503)
  assert.match(json.message, /dropped on this node, but not in Redis, which does not answer: main/)
  assert.deepEqual(purged, [[tagName('x')], [EVERYTHING]])
})
