import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { readSettings } from '#model/settings/read.ts'
import type { Settings } from '#model/settings.ts'
import { runCli } from './cli.ts'
import {
  checkBacklog,
  checkFileLimit,
  checkKeyring,
  checkMigration,
  checkNode,
  checkPrefix,
  type Finding,
} from './doctor.ts'
import { findPortHolders } from './port-holder.ts'

function settingsWith(overrides: Record<string, string> = {}): Settings {
  const read = readSettings({ file: null, environment: {}, overrides, workingFolder: '/work', cores: 2 })
  if (!read.ok) assert.fail(read.problems.join('\n'))
  return read.settings
}

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-doctor-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('an old Node is a problem', () => {
  assert.equal(checkNode('26.10.0').state, 'ok')
  assert.match(checkNode('20.19.2').about, /expected Node 26 or later, got 20\.19\.2/)
})

test('a file limit below what connections could take is a warning', () => {
  const limits = (soft: string) =>
    `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${soft}                 1048576              files\n`
  const settings = settingsWith({ worker_connections: '1000' })
  assert.equal(checkFileLimit(settings, limits('4500')).state, 'ok')
  assert.equal(checkFileLimit(settings, limits('unlimited')).state, 'ok')
  assert.match(
    checkFileLimit(settings, limits('1024')).about,
    /1024 may be open, but worker_connections could take 4500/,
  )
  assert.equal(checkFileLimit(settings, null).state, 'ok')
})

test('connections that a worker’s end would reset are a warning, unless there is one worker', () => {
  assert.equal(checkMigration(settingsWith(), '0\n').state, 'warning')
  assert.equal(checkMigration(settingsWith(), '1\n').state, 'ok')
  assert.equal(checkMigration(settingsWith({ workers: '1' }), '0\n').state, 'ok')
  assert.equal(checkMigration(settingsWith(), null).state, 'ok')
})

test('a backlog that the kernel cuts is a warning', () => {
  assert.equal(checkBacklog(settingsWith(), '4096\n').state, 'warning')
  assert.equal(checkBacklog(settingsWith({ proxy_listen: '127.0.0.1:0 backlog=100' }), '4096\n').state, 'ok')
})

test('a prefix is looked at where it will be made', (context) => {
  const folder = folderFor(context)
  assert.notEqual(checkPrefix(path.join(folder, 'a', 'b')).state, 'problem')
  writeFileSync(path.join(folder, 'file'), '')
  assert.equal(checkPrefix(path.join(folder, 'file')).state, 'problem')
})

test('a keyring that is missing or open to others is a problem', (context) => {
  const prefix = folderFor(context)
  const settings = settingsWith({ prefix })
  const check = (environment: Record<string, string> = {}, of = settings): Finding => checkKeyring({ environment }, of)
  assert.equal(check().state, 'ok')
  writeFileSync(path.join(prefix, 'meridian.db'), '')
  assert.match(check().about, /keyring is missing/)
  writeFileSync(path.join(prefix, 'keyring'), 'a:b', { mode: 0o600 })
  assert.equal(check().state, 'ok')
  chmodSync(path.join(prefix, 'keyring'), 0o644)
  assert.match(check().about, /chmod 600/)
  const byVariable = settingsWith({ keyring_env: 'RING' })
  assert.equal(check({}, byVariable).state, 'problem')
  assert.equal(check({ RING: 'a:b' }, byVariable).state, 'ok')
})

test('a port that is taken is named with who holds it', { skip: process.platform !== 'linux' }, async (context) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  const { port } = server.address() as AddressInfo
  assert.deepEqual(
    findPortHolders(port).map(({ pid }) => pid),
    [process.pid],
  )
  let out = ''
  const code = await runCli(['doctor', '--json'], {
    stdout: { write: (text) => (out += text) },
    stderr: { write: () => {} },
    environment: {
      MERIDIAN_PROXY_LISTEN: '127.0.0.1:0',
      MERIDIAN_ADMIN_LISTEN: `127.0.0.1:${port}`,
      MERIDIAN_STATUS_LISTEN: 'off',
    },
    workingFolder: folderFor(context),
    cores: 1,
    version: '0.1.0',
    run: () => assert.fail(),
    checkDeclarative: () => assert.fail(),
    openCassandra: () => assert.fail('nothing is to be connected to'),
  })
  const ports = (JSON.parse(out) as Finding[]).filter(({ check }) => check === 'ports')
  assert.equal(code, 1)
  assert.deepEqual(
    ports.map(({ state }) => state),
    ['problem'],
  )
  assert.match(
    ports[0]!.about,
    new RegExp(`^admin_listen: 127\\.0\\.0\\.1:${port} is taken by .*\\(pid ${process.pid}\\)`),
  )
})

test('a port that nobody listens on has no holder', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  assert.deepEqual(findPortHolders(port), [])
})
