import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.ts'
import { isListening, runChild, startChild } from './process.ts'

const node = (script: string, name = 'child') => ({ command: process.execPath, args: ['-e', script], name })

/** Whether a process with this id exists and is not merely waiting to be reaped. */
async function isAlive(pid: number): Promise<boolean> {
  const { output } = await runChild({ command: 'ps', args: ['-o', 'stat=', '-p', String(pid)], timeoutMs: 5_000 })
  return output.trim() !== '' && !output.trim().startsWith('Z')
}

/** A signal is delivered when the process is next scheduled: after whoever sent it may have ended. */
async function waitForEnd(pid: number): Promise<void> {
  const deadline = performance.now() + 10_000
  while (await isAlive(pid)) assert.ok(performance.now() < deadline, `process ${pid} still runs`)
}

test('waits for a line and hands over its match', async () => {
  await using child = await startChild(
    node(`setTimeout(() => console.log('port 42'), 50); setInterval(() => {}, 1000)`),
  )
  assert.equal((await child.waitForOutput(/port (\d+)/))[1], '42')
})

test('a child that ends early is reported with its exit code and output', async () => {
  const child = await startChild(node(`console.error('no such file'); process.exit(3)`, 'gateway'))
  await assert.rejects(
    child.waitForOutput(/ready/),
    /gateway ended before printing \/ready\/ \(exit code 3.*no such file/s,
  )
})

test('a line that never comes ends the wait at its deadline', async () => {
  await using child = await startChild(node('setInterval(() => {}, 1000)'))
  await assert.rejects(child.waitForOutput(/ready/, 50), /did not print \/ready\/ within 50 ms/)
})

test('a program that does not exist is named', async () => {
  await assert.rejects(startChild({ command: '/no/such/program' }), /\/no\/such\/program could not be started/)
})

test('a child that ignores SIGTERM is killed after the grace time', async () => {
  const child = await startChild(
    node(`process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)`),
  )
  await child.waitForOutput(/up/)
  assert.deepEqual(await child.stop('SIGTERM', 50), { code: null, signal: 'SIGKILL' })
})

test('what a stopped child left behind ends with it', async () => {
  const child = await startChild(
    node(`console.log(require('node:child_process').spawn('sleep', ['60'], { stdio: 'inherit' }).pid + '.')`),
  )
  const [, pid] = await child.waitForOutput(/(\d+)\./)
  await child.stop()
  await waitForEnd(Number(pid))
})

test('a run over its time limit is killed and says so', async () => {
  await assert.rejects(runChild({ ...node('setInterval(() => {}, 1000)'), timeoutMs: 100 }), /time limit is 100 ms/)
})

test('children and grandchildren end with the process that started them', async () => {
  const support = fileURLToPath(new URL('process.ts', import.meta.url))
  const grandchild = `console.log(require('node:child_process').spawn('sleep', ['60']).pid, process.pid); setInterval(() => {}, 1000)`
  const parent = await runChild({
    command: process.execPath,
    args: [
      '--input-type=module-typescript',
      '-e',
      `import { startChild } from ${JSON.stringify(support)}
       const child = await startChild({ command: process.execPath, args: ['-e', ${JSON.stringify(grandchild)}] })
       console.log((await child.waitForOutput(/\\d+ \\d+/))[0])
       process.kill(process.pid, 'SIGTERM')
       setInterval(() => {}, 1000)`,
    ],
    timeoutMs: 20_000,
  })
  assert.equal(parent.code, 143, parent.output)
  const pids = parent.output.trim().split(' ').map(Number)
  assert.equal(pids.length, 2, parent.output)
  for (const pid of pids) await waitForEnd(pid)
})

test('a child that was started so ends also when its parent is killed by SIGKILL', async (t) => {
  if (!existsSync('/usr/bin/setpriv')) return t.skip('this machine has no setpriv')
  const support = fileURLToPath(new URL('process.ts', import.meta.url))
  const parent = await startChild({
    command: process.execPath,
    args: [
      '--input-type=module-typescript',
      '-e',
      `import { startChild } from ${JSON.stringify(support)}
       const child = await startChild({ command: 'sleep', args: ['60'], endsWithParent: true })
       console.log(child.pid + '.')`,
    ],
  })
  const [, pid] = await parent.waitForOutput(/(\d+)\./)
  parent.signal('SIGKILL')
  await parent.exited
  await waitForEnd(Number(pid))
})

test('output that is waited for can be that from now on', async () => {
  await using child = await startChild(
    node(`console.log('up'); setTimeout(() => console.log('up again'), 100); setInterval(() => {}, 1000)`),
  )
  await child.waitForOutput(/up/)
  const after = child.outputLength
  assert.equal((await child.waitForOutput(/up.*/, 10_000, after))[0], 'up again')
})

test('a port counts as listening only while something accepts there', async () => {
  const port = await freePort()
  assert.equal(await isListening(port), false)
  await using server = await startChild(
    node(`require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('up'))`),
  )
  await server.waitForOutput(/up/)
  assert.equal(await isListening(port), true)
})
