import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startChild } from '../../test/support/process.ts'
import { treeCpuSeconds, treeResidentBytes } from './cpu-time.ts'

const isLinux = process.platform === 'linux'

test('counts the work of worker threads and of children', { skip: !isLinux && 'reads /proc' }, async () => {
  const spin =
    'const end = process.cpuUsage().user + 300000; while (process.cpuUsage().user < end) for (let i = 0; i < 1e6; i++);'
  await using child = await startChild({
    command: process.execPath,
    args: [
      '-e',
      `const { Worker } = require('node:worker_threads')
       new Worker(${JSON.stringify(spin)}, { eval: true }).on('exit', () => {
         const spinning = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(`${spin} console.log('done'); setInterval(() => {}, 1000)`)}], { stdio: 'inherit' })
         process.on('exit', () => spinning.kill('SIGKILL'))
       })
       setInterval(() => {}, 1000)`,
    ],
  })
  await child.waitForOutput(/done/, 30_000)
  // 0.3 s in an ended thread and 0.3 s in a child, less what one tick may hide.
  assert.ok(treeCpuSeconds(child.pid) >= 0.55, `${treeCpuSeconds(child.pid)} s`)
  assert.ok(treeResidentBytes(child.pid) > 20 * 2 ** 20)
})

test('a process that does not exist has used nothing', { skip: !isLinux && 'reads /proc' }, () => {
  assert.equal(treeCpuSeconds(2 ** 30), 0)
})
