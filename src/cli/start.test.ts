import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { runCli } from './cli.ts'
import { exitCodes } from './exit-code.ts'
import { pidFilePath, runningPid } from './pid-file.ts'

/**
 * The command line in a process of its own, with a gateway that only says what it is told. `STOP` says how it ends: `now`, `never`.
 */
const PROGRAM = `
const { runCli } = await import(${JSON.stringify(path.join(import.meta.dirname, 'cli.ts'))})
const { reserve } = { reserve: (listener) => new Promise((resolve, reject) => {
  const server = (globalThis.server = net.createServer())
  server.once('error', reject).listen({ host: listener.host, port: listener.port, exclusive: true }, resolve)
}) }
import net from 'node:net'
const say = (text) => process.stdout.write('[' + text + ']\\n')
const entries = (level) => (fields, message) => say(level + ' ' + message + ' ' + JSON.stringify(fields.settings ?? fields.problems ?? ''))
process.exitCode = await runCli(process.argv.slice(1), {
  stdout: process.stdout, stderr: process.stderr, environment: process.env, workingFolder: process.cwd(), cores: 1, version: '0.1.0',
  checkDeclarative: async () => ({ ok: true, counts: {} }),
  openCassandra: async () => { throw new Error('nothing is to be connected to') },
  run: async ({ settings }) => {
    say('run ' + settings.database + ' ' + settings.declarative_config)
    for (const listener of settings.proxy_listen) await reserve(listener)
    return {
      log: { log: { info: entries('info'), warn: entries('warn'), error: entries('error') }, flushSync() {} },
      listeners: settings.proxy_listen,
      stop: async ({ now }) => {
        say('stop ' + now)
        if (process.env.STOP === 'never') await new Promise(() => {})
        globalThis.server?.close()
      },
      reload: async (read, changed) => {
        say('reload ' + changed)
        if (read.settings.keepalive_requests === 6) throw Object.assign(new Error('refused'), { details: [] })
      },
      reopenLogs: () => say('reopen'),
    }
  },
})
`

interface Started {
  readonly folder: string
  readonly pid: number
  readonly output: () => string
  /** Waits for a text in what it prints. */
  says(text: string): Promise<void>
  signal(name: NodeJS.Signals): void
  readonly ended: Promise<number | null>
}

function startCli(
  context: TestContext,
  words: readonly string[],
  environment: Record<string, string> = {},
  folder = folderFor(context),
): Started {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, '--', ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'], MERIDIAN_PROXY_LISTEN: '127.0.0.1:0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const look = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      for (const one of look) one()
    })
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  context.after(() => child.kill('SIGKILL'))
  return {
    folder,
    pid: child.pid!,
    output: () => output,
    says: (text) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!output.includes(text)) return
          look.delete(check)
          resolve()
        }
        look.add(check)
        void ended.then(() => reject(new Error(`ended without saying '${text}':\n${output}`)))
        check()
      }),
    signal: (name) => void child.kill(name),
    ended,
  }
}

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-start-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const READY = 'is ready'

test('a start prints within ten lines where it listens and what to try first, and ends by SIGTERM with a drain', async (context) => {
  const started = startCli(context, ['start'])
  await started.says('/first/status')
  const banner = started
    .output()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('['))
  assert.ok(banner.length <= 10)
  assert.match(
    banner.join('\n'),
    /^Meridian 0\.1\.0 is ready: 1 worker, configuration in .*\n {2}proxy {3}http:\/\/127\.0\.0\.1:0\n {2}admin {3}http:\/\/127\.0\.0\.1:8001\n/,
  )
  assert.equal(banner.filter((line) => line.startsWith('  curl ')).length, 3)
  const prefix = path.join(started.folder, '.meridian')
  assert.equal(runningPid(prefix), started.pid)
  started.signal('SIGTERM')
  assert.equal(await started.ended, 0)
  assert.match(started.output(), /\[stop false\]/)
  assert.ok(!existsSync(pidFilePath(prefix)))
})

test('SIGINT ends without the time for load balancers, a second signal at once', async (context) => {
  const started = startCli(context, ['start'], { STOP: 'never' })
  await started.says(READY)
  started.signal('SIGINT')
  await started.says('[stop true]')
  started.signal('SIGTERM')
  assert.equal(await started.ended, exitCodes.failed)
})

test('SIGUSR1 reopens logs', async (context) => {
  const started = startCli(context, ['start'])
  await started.says(READY)
  started.signal('SIGUSR1')
  await started.says('[reopen]')
  started.signal('SIGTERM')
  assert.equal(await started.ended, 0)
})

test('SIGHUP applies what can be reloaded, names what waits, and keeps all when the file has errors', async (context) => {
  const folder = folderFor(context)
  const file = path.join(folder, 'meridian.conf')
  writeFileSync(file, 'log_level = info\n')
  const started = startCli(context, ['start'], {}, folder)
  await started.says(READY)
  writeFileSync(file, 'log_level = debug\nkeepalive_requests = 5\n')
  started.signal('SIGHUP')
  await started.says('[reload log_level]')
  await started.says('[warn changed settings wait for the next start ["keepalive_requests"]]')
  writeFileSync(file, 'log_level = loud\n')
  started.signal('SIGHUP')
  await started.says('[error settings not reloaded, those before stay in force ["meridian.conf:1: log_level:')
  started.signal('SIGTERM')
  assert.equal(await started.ended, 0)
})

test('what a reload could not apply is applied by the next one that succeeds', async (context) => {
  const folder = folderFor(context)
  const file = path.join(folder, 'meridian.conf')
  writeFileSync(file, 'log_level = info\n')
  const started = startCli(context, ['start'], {}, folder)
  await started.says(READY)
  writeFileSync(file, 'log_level = debug\nkeepalive_requests = 6\n')
  started.signal('SIGHUP')
  await started.says('[error settings not reloaded, those before stay in force')
  writeFileSync(file, 'log_level = debug\nworkers = 1\n')
  started.signal('SIGHUP')
  await started.says('[info settings reloaded ["log_level"]]')
  started.signal('SIGTERM')
  assert.equal(await started.ended, 0)
})

test('options of the command line win, and a declarative file means no database', async (context) => {
  const folder = folderFor(context)
  writeFileSync(path.join(folder, 'kong.yml'), '')
  const started = startCli(
    context,
    ['start', '--declarative', 'kong.yml', '--set', 'status_listen=off'],
    { MERIDIAN_DATABASE: 'sqlite' },
    folder,
  )
  await started.says(`[run off ${path.join(folder, 'kong.yml')}]`)
  await started.says('status  off')
  started.signal('SIGTERM')
  assert.equal(await started.ended, 0)
  const wrong = startCli(context, ['start', '--set', 'status_lsiten=off'])
  assert.equal(await wrong.ended, exitCodes.invalid)
  assert.match(wrong.output(), /command line: unknown key 'status_lsiten' \(did you mean status_listen\?\)/)
})

test('settings of Kong without meaning are listed in the log', async (context) => {
  const started = startCli(context, ['start'], { KONG_PG_HOST: 'db', KONG_NGINX_DAEMON: 'off' })
  await started.says('[info settings of Kong that change nothing here ["KONG_NGINX_DAEMON","KONG_PG_HOST"]]')
  started.signal('SIGTERM')
  assert.equal(await started.ended, 0)
})

test('a port that is taken is named with its setting and who holds it', async (context) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const started = startCli(context, ['start'], { MERIDIAN_PROXY_LISTEN: `127.0.0.1:${port}` })
  assert.equal(await started.ended, exitCodes.blocked)
  const holder = process.platform === 'linux' ? `\\(pid ${process.pid}\\)` : ''
  assert.match(
    started.output(),
    new RegExp(`meridian: proxy_listen: port ${port} of 127\\.0\\.0\\.1 is taken by .*${holder}`),
  )
  assert.ok(!existsSync(pidFilePath(path.join(started.folder, '.meridian'))))
})

test('a second start with the same prefix is refused while the first goes on', async (context) => {
  const first = startCli(context, ['start'])
  await first.says(READY)
  const second = startCli(context, ['start'], {}, first.folder)
  assert.equal(await second.ended, exitCodes.blocked)
  assert.match(second.output(), new RegExp(`a gateway runs with the prefix .* \\(pid ${first.pid}\\)`))
  assert.equal(runningPid(path.join(first.folder, '.meridian')), first.pid)
  first.signal('SIGTERM')
  assert.equal(await first.ended, 0)
})

async function runHere(
  words: readonly string[],
  workingFolder: string,
): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await runCli(words, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    environment: {},
    workingFolder,
    cores: 1,
    version: '0.1.0',
    run: () => assert.fail(),
    checkDeclarative: () => assert.fail(),
    openCassandra: () => assert.fail('nothing is to be connected to'),
  })
  return { code, out, err }
}

test('stop waits until the gateway has ended; reload makes it read its settings', async (context) => {
  const started = startCli(context, ['start'])
  await started.says(READY)
  assert.equal((await runHere(['reload'], started.folder)).code, 0)
  await started.says('[reload ]')
  const { code, out } = await runHere(['stop'], started.folder)
  assert.deepEqual([code, out], [0, `The gateway (pid ${started.pid}) has ended.\n`])
  assert.equal(await started.ended, 0)
  assert.equal((await runHere(['stop'], started.folder)).code, exitCodes.unreachable)
  assert.equal((await runHere(['reload'], started.folder)).code, exitCodes.unreachable)
})

test('stop says when the gateway does not end in time, and ends it by force only when told to', async (context) => {
  const started = startCli(context, ['start'], { STOP: 'never' })
  await started.says(READY)
  const patient = await runHere(['stop', '--timeout', '300ms'], started.folder)
  assert.equal(patient.code, exitCodes.failed)
  assert.match(patient.err, /did not end within 300 ms/)
  assert.equal(runningPid(path.join(started.folder, '.meridian')), started.pid)
  // The first signal began the drain, so the SIGTERM of a second stop ends it.
  started.signal('SIGSTOP')
  const forced = await runHere(['stop', '--timeout', '300ms', '--force', '--json'], started.folder)
  assert.partialDeepStrictEqual(JSON.parse(forced.out), { stopped: true, forced: true })
  await started.ended
})
