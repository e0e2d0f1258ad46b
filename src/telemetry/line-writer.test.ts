import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'
import { LineWriter, type LineWriterOptions } from './line-writer.ts'

function openIn(context: TestContext, options: Partial<LineWriterOptions> = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-lines-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'logs', 'access.log')
  const errors: Error[] = []
  const writer = new LineWriter(
    { to: 'file', path: file, format: null },
    { delayMs: 5, limitChars: 1 << 20, onError: (error) => errors.push(error), ...options },
  )
  return { writer, file, errors, text: (name = file) => readFileSync(name, 'utf8') }
}

test('lines are written in order, those before the close included', async (context) => {
  const { writer, text } = openIn(context)
  for (let i = 0; i < 1000; i++) writer.write(`line ${i}\n`)
  await writer.drain()
  writer.write('last ü\n')
  await writer.close()
  assert.equal(text(), `${Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join('')}last ü\n`)
  assert.equal(writer.dropped, 0)
})

test('a line that waits is written after the delay without another one coming', async (context) => {
  const { writer, text } = openIn(context)
  writer.write('one\n')
  assert.equal(text(), '')
  await new Promise((resolve) => setTimeout(resolve, 50))
  await writer.drain()
  assert.equal(text(), 'one\n')
  await writer.close()
})

test('what does not fit into the buffer is dropped and counted, and later lines come through again', async (context) => {
  const { writer, text } = openIn(context, { limitChars: 20 })
  for (let i = 0; i < 5; i++) writer.write('12345678\n')
  assert.equal(writer.dropped, 3)
  await writer.drain()
  writer.write('after\n')
  await writer.close()
  assert.equal(text(), '12345678\n12345678\nafter\n')
})

test('reopen goes on in a new file; lines on their way end in one of the two', async (context) => {
  const { writer, file, text } = openIn(context)
  writer.write('before\n')
  await writer.drain()
  writer.write('between\n')
  const drained = writer.drain()
  renameSync(file, `${file}.1`)
  writer.reopen()
  await drained
  writer.write('after\n')
  await writer.close()
  assert.equal(text(`${file}.1`), 'before\nbetween\n')
  assert.equal(text(), 'after\n')
})

test('a failing reopen keeps the old file and is told once', async (context) => {
  const { writer, file, errors } = openIn(context)
  const folder = path.dirname(file)
  renameSync(folder, `${folder}.moved`)
  // A file where the folder should be.
  new LineWriter(
    { to: 'file', path: folder, format: null },
    { delayMs: 0, limitChars: 1, onError: () => {} },
  ).flushSync()
  writer.reopen()
  writer.reopen()
  assert.equal(errors.length, 1)
  writer.write('still here\n')
  await writer.close()
  assert.equal(readFileSync(path.join(`${folder}.moved`, path.basename(file)), 'utf8'), 'still here\n')
})

test(
  'a write that fails drops its lines, is told once, and does not stop later ones',
  { skip: !existsSync('/dev/full') },
  async () => {
    const errors: Error[] = []
    // Every write to it fails with ENOSPC.
    const writer = new LineWriter(
      { to: 'file', path: '/dev/full', format: null },
      { delayMs: 0, limitChars: 1000, onError: (error) => errors.push(error) },
    )
    writer.write('one\ntwo\n')
    await writer.drain()
    writer.write('three\n')
    await writer.close()
    assert.equal(writer.dropped, 3)
    assert.deepEqual(
      errors.map((error) => (error as NodeJS.ErrnoException).code),
      ['ENOSPC'],
    )
  },
)

test('threads that append to one file never break each other’s lines', async (context) => {
  const { writer, file, text } = openIn(context)
  const source = `
    const { workerData: { module, file, name } } = require('node:worker_threads')
    import(module).then(async ({ LineWriter }) => {
      const writer = new LineWriter({ to: 'file', path: file, format: null }, { delayMs: 0, limitChars: 1e7, onError() {} })
      for (let i = 0; i < 3000; i++) {
        writer.write(name + ' ' + i + ' ' + name.repeat(i % 300) + '\\n')
        if (i % 50 === 0) await new Promise(setImmediate)
      }
      await writer.close()
    })`
  const threads = ['a', 'b', 'c'].map((name) => {
    const thread = new Worker(source, {
      eval: true,
      workerData: { module: path.join(import.meta.dirname, 'line-writer.ts'), file, name },
    })
    return new Promise((resolve, reject) => thread.once('exit', resolve).once('error', reject))
  })
  await Promise.all(threads)
  await writer.close()
  const lines = text().trimEnd().split('\n')
  assert.equal(lines.length, 9000)
  for (const line of lines) assert.match(line, /^(?:a \d+ a*|b \d+ b*|c \d+ c*)$/)
})

test('a pipe gets whole lines, also when its reader is slow', async () => {
  const module = path.join(import.meta.dirname, 'line-writer.ts')
  const source = `
    const { LineWriter } = await import(${JSON.stringify(module)})
    const writer = new LineWriter({ to: 'stdout', format: null }, { delayMs: 0, limitChars: 1e7, onError(error) { throw error } })
    for (let i = 0; i < 400; i++) writer.write(i + ' ' + 'x'.repeat(i * 7) + '\\n')
    await writer.close()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.pause()
  setTimeout(() => child.stdout.resume(), 100)
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const code = await new Promise((resolve) => child.once('close', resolve))
  assert.equal(code, 0)
  assert.equal(output, Array.from({ length: 400 }, (_, i) => `${i} ${'x'.repeat(i * 7)}\n`).join(''))
})
