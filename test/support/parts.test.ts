import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { cached, partsFolder } from './cache.ts'
import { requirePart } from './parts.ts'

/** An environment without network, package tools, programs and cache. */
function withNothing(t: TestContext, environment: Readonly<Record<string, string>>): void {
  const before = { ...process.env }
  const empty = mkdtempSync(path.join(tmpdir(), 'meridian-parts-'))
  Object.assign(process.env, { PATH: empty, XDG_CACHE_HOME: empty, CI: '', ...environment })
  t.after(() => {
    for (const name of Object.keys(process.env)) delete process.env[name]
    Object.assign(process.env, before)
    rmSync(empty, { recursive: true, force: true })
  })
}

const skips: string[] = []
const fakeTest = { skip: (reason: string) => skips.push(reason) } as unknown as TestContext

test('a part that can not be had skips the test with the reason', async (t) => {
  withNothing(t, {})
  assert.equal(await requirePart(fakeTest, 'wrk'), null)
  assert.match(skips.at(-1) ?? '', /^wrk can't be had: apt-cache could not be started/)
})

test('in CI the absence of a required part fails the test', async (t) => {
  withNothing(t, { CI: 'true' })
  await assert.rejects(requirePart(fakeTest, 'wrk'), /wrk, without which this test means nothing, can't be had/)
})

test('a thing that could not be made leaves nothing in the cache, and one that was made is not made again', async (t) => {
  withNothing(t, {})
  await assert.rejects(
    cached('thing', () => Promise.reject(new Error('no network'))),
    /no network/,
  )
  assert.deepEqual(readdirSync(partsFolder()), [])
  let made = 0
  const make = async () => void made++
  assert.equal(await cached('thing', make), await cached('thing', make))
  assert.equal(made, 1)
})

test('of two that make the same thing at once the second takes what the first made', async (t) => {
  withNothing(t, {})
  const start = Promise.withResolvers<void>()
  const both = [cached('thing', () => start.promise), cached('thing', () => start.promise)]
  start.resolve()
  const [first, second] = await Promise.all(both)
  assert.equal(first, second)
  assert.deepEqual(readdirSync(partsFolder()), ['thing'])
})
