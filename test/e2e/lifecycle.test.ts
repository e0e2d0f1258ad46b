import assert from 'node:assert/strict'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { adminCall } from '../support/admin-call.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { freePort, freePorts } from '../support/free-port.ts'
import { isListening, runChild, startChild } from '../support/process.ts'
import { openRawClient, RawClient } from '../support/raw-client.ts'
import { startRawUpstream, startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const folder = mkdtempSync(path.join(tmpdir(), 'meridian-lifecycle-'))
after(() => rmSync(folder, { recursive: true }))

const serviceAt = (port: number, route: object = {}) => ({
  _format_version: '3.0',
  services: [{ name: 's', host: '127.0.0.1', port, routes: [{ name: 'r', paths: ['/'], ...route }] }],
})

async function ready(gateway: Gateway): Promise<number> {
  const response = await fetch(`${gateway.statusUrl}/status/ready`, { signal: AbortSignal.timeout(5_000) })
  await response.arrayBuffer()
  return response.status
}

test('SIGTERM: not ready first while all is served, then connections end with their answers, and the process with 0', async () => {
  const opened: RawClient[] = []
  await using upstream = await startRawUpstream((socket: Socket) => opened.push(new RawClient(socket)))
  const gateway = await startGateway({
    workers: 2,
    settings: { drain_delay: '1500ms', shutdown_timeout: '10s', upstream_keepalive_pool_size: '0' },
    declarative: serviceAt(upstream.port),
  })
  const idle = await openRawClient(gateway.proxyPort)
  const busy = await openRawClient(gateway.proxyPort)
  busy.request('GET /in-flight HTTP/1.1')
  await waitUntil('the upstream is asked', () => opened.length === 1)
  const first = opened[0]!
  await first.until('\r\n\r\n')

  gateway.child.signal('SIGTERM')
  await waitUntil('not ready', async () => (await ready(gateway)) === 503)
  // Load balancers turn away now; those who still come are served.
  using late = await openRawClient(gateway.proxyPort)
  late.request('GET /late HTTP/1.1')
  await waitUntil('the upstream is asked again', () => opened.length === 2)
  const second = opened[1]!
  await second.until('\r\n\r\n')
  second.write('HTTP/1.1 200 OK', 'Content-Length: 4', '', 'late')
  assert.equal((await late.response()).body, 'late')

  await idle.end()
  await waitUntil('no new connection', async () => !(await isListening(gateway.proxyPort)))
  assert.equal(gateway.child.exit, null)
  first.write('HTTP/1.1 200 OK', 'Content-Length: 4', '', 'done')
  const { body, headers } = await busy.response()
  assert.deepEqual([body, headers['connection']], ['done', 'close'])
  await busy.end()
  assert.deepEqual(await gateway.child.exited, { code: 0, signal: null })
  await gateway.stop()
})

test('SIGTERM: a request that does not end is cut after shutdown_timeout', async () => {
  await using upstream = await startRawUpstream(() => undefined)
  const gateway = await startGateway({ settings: { shutdown_timeout: '500ms' }, declarative: serviceAt(upstream.port) })
  using busy = await openRawClient(gateway.proxyPort)
  busy.request('GET / HTTP/1.1')
  await waitUntil('the upstream is asked', () => upstream.connections().total > 0)
  gateway.child.signal('SIGTERM')
  await busy.end()
  assert.deepEqual(await gateway.child.exited, { code: 0, signal: null })
  await gateway.stop()
})

test('SIGHUP takes over the log level, and SIGUSR1 goes on in a new access log', async () => {
  await using upstream = await startUpstream()
  const prefix = mkdtempSync(path.join(folder, 'logs-'))
  const configuration = path.join(prefix, 'meridian.conf')
  const ports = await freePorts(3)
  const write = (level: string) =>
    writeFileSync(
      configuration,
      [
        `prefix = ${prefix}`,
        'database = off',
        'workers = 2',
        `declarative_config = ${path.join(prefix, 'kong.json')}`,
        `proxy_listen = 127.0.0.1:${ports[0]}`,
        `admin_listen = 127.0.0.1:${ports[1]}`,
        `status_listen = 127.0.0.1:${ports[2]}`,
        'proxy_access_log = logs-access.json',
        'drain_delay = 0',
        `log_level = ${level}`,
        '',
      ].join('\n'),
    )
  write('notice')
  writeFileSync(path.join(prefix, 'kong.json'), JSON.stringify(serviceAt(upstream.port)))
  await using child = await startChild({
    command: process.execPath,
    args: [path.join(ROOT, 'src', 'main.ts'), 'start', '--conf', configuration],
    cwd: ROOT,
    env: { PATH: process.env['PATH'] },
    name: 'gateway',
  })
  const ask = async (target: string) => {
    const response = await fetch(`http://127.0.0.1:${ports[0]}${target}`, { signal: AbortSignal.timeout(5_000) })
    await response.arrayBuffer()
    return response.status
  }
  // The banner comes when signals are heeded.
  await child.waitForOutput(/curl/, 30_000)
  assert.equal(await ask('/before'), 200)

  const level = async () =>
    ((await (await fetch(`http://127.0.0.1:${ports[1]}/debug/node/log-level`)).json()) as { message: string }).message
  assert.match(await level(), /notice|info/)
  write('debug')
  child.signal('SIGHUP')
  await child.waitUntil('the new log level', async () => /debug/.test(await level()))

  const log = path.join(prefix, 'logs-access.json')
  await child.waitUntil('the first log has its lines', async () => /\/before/.test(readFileSync(log, 'utf8')))
  renameSync(log, `${log}.1`)
  child.signal('SIGUSR1')
  await child.waitUntil('a new log', async () => existsSync(log))
  for (let i = 0; i < 20; i++) assert.equal(await ask('/after'), 200)
  await child.waitUntil('the new log has every line', async () => readFileSync(log, 'utf8').split('/after').length > 20)
  assert.doesNotMatch(readFileSync(`${log}.1`, 'utf8'), /\/after/)
})

test('a busy port is named with its setting and who holds it', async () => {
  const holder = createServer()
  const port = await new Promise<number>((resolve) =>
    holder.listen(0, '127.0.0.1', () => resolve((holder.address() as { port: number }).port)),
  )
  try {
    for (const setting of ['proxy_listen', 'admin_listen', 'status_listen']) {
      const others = { proxy_listen: 'off', admin_listen: 'off', status_listen: 'off', [setting]: `127.0.0.1:${port}` }
      const { code, output } = await start({ database: 'off', ...others })
      assert.equal(code, 6, output)
      assert.match(
        output,
        new RegExp(`${setting}: port ${port} of 127\\.0\\.0\\.1 is taken by node.*\\(pid ${process.pid}\\)`),
      )
    }
  } finally {
    holder.close()
  }
})

/** Starts with these settings what is expected to end by itself. */
function start(settings: Record<string, string>, args: readonly string[] = []) {
  return runChild({
    command: process.execPath,
    args: [path.join(ROOT, 'src', 'main.ts'), 'start', ...args],
    cwd: ROOT,
    env: {
      PATH: process.env['PATH'],
      MERIDIAN_PREFIX: mkdtempSync(path.join(folder, 'prefix-')),
      ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [`MERIDIAN_${key.toUpperCase()}`, value])),
    },
    name: 'gateway',
    timeoutMs: 30_000,
  })
}

test('a start again has the configuration, its certificate and its node id, and serves', async () => {
  await using upstream = await startUpstream()
  const prefix = mkdtempSync(path.join(folder, 'again-'))
  const first = await startGateway({ database: 'sqlite', prefix })
  await adminCall(first, 'PUT', '/services/s', { host: '127.0.0.1', port: upstream.port })
  await adminCall(first, 'PUT', '/routes/r', {
    paths: ['/'],
    service: { name: 's' },
  })
  await adminCall(first, 'POST', '/routes/r/plugins', { name: 'key-auth' })
  await adminCall(first, 'PUT', '/consumers/alice', {})
  await adminCall(first, 'POST', '/consumers/alice/key-auth', { key: 'opens-it' })
  const before = await adminCall(first, 'GET', '/')
  const certificate = readFileSync(
    path.join(prefix, 'certificates', readdirSync(path.join(prefix, 'certificates'))[0]!),
  )
  // As a crash leaves it.
  await first.kill()

  await using second = await startGateway({ database: 'sqlite', prefix })
  const ask = async (key: string) =>
    (await fetch(`${second.proxyUrl}/`, { headers: { apikey: key }, signal: AbortSignal.timeout(5_000) })).status
  assert.equal(await ask('opens-it'), 200)
  assert.equal(await ask('other'), 401)
  const now = await adminCall(second, 'GET', '/')
  assert.equal(now.node_id, before.node_id)
  assert.deepEqual(
    readFileSync(path.join(prefix, 'certificates', readdirSync(path.join(prefix, 'certificates'))[0]!)),
    certificate,
  )
})

test('a start writes compiled code under the prefix, and the next one runs from it, in every thread', async () => {
  const prefix = mkdtempSync(path.join(folder, 'compiled-'))
  const compiled = () =>
    readdirSync(path.join(prefix, 'compile-cache'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => `${name} ${statSync(path.join(parentPath, name)).mtimeMs}`)
      .toSorted()
  const first = await startGateway({ prefix, workers: 2 })
  // A crash: nothing of it is written at the end.
  await first.kill()
  const written = compiled()
  assert.ok(written.length > 100, `${written.length} files`)

  // Node then says of each module whether its code came from the cache.
  const accepted = async (): Promise<readonly [number, number]> => {
    process.env['NODE_DEBUG_NATIVE'] = 'COMPILE_CACHE'
    const next = await startGateway({ prefix, workers: 2 }).finally(() => delete process.env['NODE_DEBUG_NATIVE'])
    await next.stop()
    const count = (file: string) => next.child.output.split(`src/${file} was accepted`).length - 1
    return [count('gateway.ts'), count('proxy/run.ts')]
  }
  // Once in the main thread, once in each worker. Threads say it at the same time, and may write into each other's lines: then it is
  // asked again.
  let counts = await accepted()
  for (let tries = 1; tries < 4 && counts.join() !== '1,2'; tries++) counts = await accepted()
  assert.deepEqual(counts, [1, 2])
  // What only its orderly end loaded may be new.
  const now = new Set(compiled())
  assert.deepEqual(
    written.filter((file) => !now.has(file)),
    [],
  )
})

test('without the keyring that its secrets need, the store does not start, and no new one is made', async () => {
  const prefix = mkdtempSync(path.join(folder, 'keyring-'))
  const first = await startGateway({ database: 'sqlite', prefix })
  await adminCall(first, 'PUT', '/consumers/alice', {})
  await first.stop()
  rmSync(path.join(prefix, 'keyring'))
  const { code, output } = await start({
    prefix,
    database: 'sqlite',
    proxy_listen: `127.0.0.1:${await freePort()}`,
    admin_listen: 'off',
    status_listen: 'off',
  })
  assert.notEqual(code, 0)
  assert.match(output, /keyring/)
  assert.equal(existsSync(path.join(prefix, 'keyring')), false)
})

test('start --declarative runs from a file in YAML, takes its changes over, and keeps what it had when a change is wrong', async () => {
  await using upstream = await startUpstream((received, response) => response.end(received.target))
  const file = path.join(folder, 'kong.yml')
  const write = (text: string) => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  const yaml = (prefix: string) => `_format_version: "3.0"
services:
- name: s
  url: http://127.0.0.1:${upstream.port}${prefix}
  routes:
  - name: r
    paths: [/]
`
  write(yaml('/one'))
  await using gateway = await startGateway({
    script: [path.join(ROOT, 'src', 'main.ts'), 'start', '--declarative', file],
    settings: { log_level: 'info' },
    workers: 2,
  })
  const ask = async () => (await fetch(`${gateway.proxyUrl}/x`, { signal: AbortSignal.timeout(5_000) })).text()
  const rejected = async () => {
    const page = await (await fetch(`${gateway.statusUrl}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()
    return Number(/^meridian_config_rejected_total\{[^}]*via="file"[^}]*\} (\d+)$/m.exec(page)?.[1])
  }
  assert.equal(await ask(), '/one/x')
  assert.equal(await rejected(), 0)
  write(yaml('/two'))
  await waitUntil('the change is served', async () => (await ask()) === '/two/x')

  write(`${yaml('/three')}  - name: r2
    pathz: [/a]
    regex_priority: high
- nam: t
`)
  await waitUntil('the wrong file is counted', async () => (await rejected()) === 1)
  assert.equal(await ask(), '/two/x')
  const entry = gateway.child.output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { msg: string; problems?: string[] })
    .find(({ msg }) => msg.includes('the configuration before stays'))
  const problems = (entry?.problems ?? []).join('\n')
  for (const line of [9, 10, 11]) assert.match(problems, new RegExp(`kong\\.yml:${line}: `), problems)

  write(yaml('/four'))
  await waitUntil('the mended file is served', async () => (await ask()) === '/four/x')
  assert.equal(await rejected(), 1)
})

test('a declarative file that is wrong from the start is told with every problem and its line', async () => {
  const file = path.join(folder, 'wrong.yml')
  writeFileSync(file, '_format_version: "3.0"\nservices:\n- name: s\n  port: 70000\n- host: a\n  retries: many\n')
  const { code, output } = await start(
    { proxy_listen: `127.0.0.1:${await freePort()}`, admin_listen: 'off', status_listen: 'off' },
    ['--declarative', file],
  )
  assert.equal(code, 3, output)
  for (const line of [3, 4, 6]) assert.match(output, new RegExp(`wrong\\.yml:${line}: `))
})
