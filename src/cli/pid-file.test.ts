import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { acquirePidFile, pidFilePath, runningPid } from './pid-file.ts'

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-pid-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return path.join(folder, 'prefix')
}

test('the file names the process while it holds it, and nothing else is left', (context) => {
  const prefix = folderFor(context)
  assert.equal(runningPid(prefix), null)
  const file = acquirePidFile(prefix, process.pid)
  assert.equal(readFileSync(file.path, 'utf8').split('\n')[0], String(process.pid))
  assert.equal(runningPid(prefix), process.pid)
  file.release()
  assert.deepEqual(readdirSync(prefix), [])
})

test('a second gateway with the prefix of one that lives is refused', async (context) => {
  const prefix = folderFor(context)
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  context.after(() => other.kill('SIGKILL'))
  await once(other, 'spawn')
  acquirePidFile(prefix, other.pid!)
  assert.throws(() => acquirePidFile(prefix, process.pid), {
    code: 'ALREADY_RUNNING',
    message: new RegExp(`pid ${other.pid}`),
  })
  const ended = once(other, 'exit')
  other.kill('SIGKILL')
  await ended
  acquirePidFile(prefix, process.pid).release()
})

test(
  'a pid that another program got after a crash is not taken for the gateway',
  { skip: !existsSync('/proc/self/stat') },
  (context) => {
    const prefix = folderFor(context)
    acquirePidFile(prefix, process.pid)
    writeFileSync(pidFilePath(prefix), `${process.ppid}\n1\n`)
    assert.equal(runningPid(prefix), null)
    acquirePidFile(prefix, process.pid).release()
  },
)

test('a file with anything else in it is replaced', (context) => {
  const prefix = folderFor(context)
  acquirePidFile(prefix, process.pid)
  for (const text of ['', 'tea\n', '-1\n', '0\n', '99999999999\n']) {
    writeFileSync(pidFilePath(prefix), text)
    assert.equal(runningPid(prefix), null, text)
    acquirePidFile(prefix, process.pid)
  }
})

test('the end of one gateway does not take away the file of the next', (context) => {
  const prefix = folderFor(context)
  const file = acquirePidFile(prefix, process.pid)
  writeFileSync(file.path, `${process.ppid}\n\n`)
  file.release()
  assert.equal(runningPid(prefix), process.ppid)
})

test('a prefix that can not be made is named', (context) => {
  const prefix = folderFor(context)
  writeFileSync(prefix, 'a file')
  assert.throws(() => acquirePidFile(path.join(prefix, 'below'), 1), {
    code: 'PREFIX_UNUSABLE',
    message: /below \(ENOTDIR\)/,
  })
})
