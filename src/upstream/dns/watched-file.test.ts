import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { WatchedFile } from './watched-file.ts'

function watch(context: TestContext, text: string | null) {
  const folder = mkdtempSync(path.join(tmpdir(), 'watched-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'file')
  if (text !== null) writeFileSync(file, text)
  const clock = { now: 0 }
  const errors: unknown[] = []
  const watched = new WatchedFile({
    path: file,
    parse: (content) => content,
    nowMs: () => clock.now,
    onError: (error) => errors.push(error),
  })
  return { file, watched, clock, errors }
}

test('a changed file is read again', async (context) => {
  const { file, watched } = watch(context, 'old')
  assert.equal(watched.value, 'old')
  writeFileSync(file, 'newer')
  await watched.check()
  assert.equal(watched.value, 'newer')
})

test('the file is looked at no sooner than five seconds after the last look', (context) => {
  const { watched, clock } = watch(context, 'text')
  const looks = context.mock.method(watched, 'check', () => Promise.resolve())
  clock.now = 4999
  assert.equal(watched.value, 'text')
  assert.equal(looks.mock.callCount(), 0)
  clock.now = 5000
  assert.equal(watched.value, 'text')
  assert.equal(watched.value, 'text')
  assert.equal(looks.mock.callCount(), 1)
})

test('a file that goes away keeps its last content, says so once, and counts again when it is back', async (context) => {
  const { file, watched, errors } = watch(context, 'old')
  rmSync(file)
  await watched.check()
  await watched.check()
  assert.equal(watched.value, 'old')
  assert.equal(errors.length, 1)
  writeFileSync(file, 'back')
  await watched.check()
  assert.equal(watched.value, 'back')
})

test('a file that is missing from the start is empty until it appears', async (context) => {
  const { file, watched, errors } = watch(context, null)
  assert.equal(watched.value, '')
  assert.equal(errors.length, 1)
  writeFileSync(file, 'there')
  await watched.check()
  assert.equal(watched.value, 'there')
})
