import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { adminCall } from '../support/admin-call.ts'
import { makeCertificate } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import {
  startHttpReceiver,
  startRsyslog,
  startStatsd,
  startTcpReceiver,
  startUdpReceiver,
} from '../support/log-receivers.ts'
import { requirePart } from '../support/parts.ts'
import { waitUntil } from '../support/wait.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-logs-'))
const streamPort = await freePort()
let gateway: Gateway

before(async () => {
  process.env['LOG_TOKEN'] = 'from-the-vault'
  gateway = await startGateway({
    database: 'sqlite',
    workers: 2,
    settings: {
      stream_listen: `127.0.0.1:${streamPort}`,
      log_mask_headers: 'x-secret',
      log_mask_arguments: 'token',
      log_mask_patterns: 'card',
      // A worker that is replaced because the machine is busy loses what it had to deliver.
      worker_silence_timeout: '60s',
      // And one that is late turns requests away before any plugin sees them.
      overload_delay: '0',
    },
  })
  delete process.env['LOG_TOKEN']
})
after(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)

let routes = 0

/** A route that answers by itself with 200, and logs by this plugin. */
async function routeWith(plugin: string, config: object, status = 200): Promise<{ url: string; id: string }> {
  const name = `r${++routes}`
  await admin('PUT', `/routes/${name}`, { paths: [`/${name}`] })
  await admin('POST', `/routes/${name}/plugins`, { name: 'request-termination', config: { status_code: status } })
  const { id } = await admin('POST', `/routes/${name}/plugins`, { name: plugin, config })
  return { url: `${gateway.proxyUrl}/${name}`, id }
}

async function get(url: string, headers: Record<string, string> = {}): Promise<void> {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(20_000) })
  await response.arrayBuffer()
}

async function metric(line: RegExp): Promise<number> {
  const text = await (await fetch(`${gateway.statusUrl}/metrics`, { signal: AbortSignal.timeout(20_000) })).text()
  return Number(line.exec(text)?.[1] ?? Number.NaN)
}

test('http-log sends batches with its headers, basic authorization and the secret of a vault over one connection', async () => {
  await using receiver = await startHttpReceiver()
  const { url } = await routeWith('http-log', {
    http_endpoint: `http://ann:p%40ss@127.0.0.1:${receiver.port}/in?x=1`,
    method: 'PUT',
    content_type: 'application/json; charset=utf-8',
    headers: { 'X-Token': '{vault://env/log-token}' },
    queue: { max_batch_size: 5, max_coalescing_delay: 0.2 },
    custom_fields: { 'extra.path': 'path $(request.uri)' },
  })
  for (let i = 0; i < 12; i++) await get(`${url}?token=t${i}`, { 'X-Secret': 's', 'X-Card': '4111 1111 1111 1111' })
  const records = () => receiver.requests.flatMap(({ body }) => JSON.parse(body) as any[])
  await waitUntil('all are there', () => records().length === 12)
  for (const { method, url: at, headers, body } of receiver.requests) {
    assert.deepEqual(
      [method, at, headers['x-token'], headers['content-type'], headers.authorization],
      ['PUT', '/in?x=1', 'from-the-vault', 'application/json; charset=utf-8', `Basic ${btoa('ann:p@ss')}`],
    )
    assert.ok((JSON.parse(body) as unknown[]).length <= 5)
    assert.ok(!/4111|"s"|token=t/.test(body), 'what is hidden does not leave')
  }
  const [record] = records()
  assert.equal(record.request.querystring.token, 'REDACTED')
  assert.equal(record.extra.path, `path ${record.request.uri}`)
  assert.equal(record.source, 'kong')
  assert.ok(Math.max(...receiver.requests.map(({ connection }) => connection)) <= 2, 'each worker keeps its connection')
})

test('http-log sends again what was refused, and a batch of one is an object', async () => {
  await using receiver = await startHttpReceiver()
  receiver.statuses.push(500, 302, 404)
  const { url } = await routeWith('http-log', { http_endpoint: `http://127.0.0.1:${receiver.port}/` })
  await get(url)
  await waitUntil('it was taken', () => receiver.requests.length === 4)
  assert.equal(new Set(receiver.requests.map(({ body }) => body)).size, 1)
  assert.equal(JSON.parse(receiver.requests[0]!.body).response.status, 200)
  assert.ok((await metric(/^meridian_log_delivery_failures_total\{plugin="http-log"\} (\d+)/m)) >= 3)
})

test('http-log over TLS verifies only when it is told to', async () => {
  await using receiver = await startHttpReceiver(await makeCertificate(['localhost']))
  const http_endpoint = `https://localhost:${receiver.port}/`
  const lax = await routeWith('http-log', { http_endpoint })
  const strict = await routeWith('http-log', { http_endpoint, ssl_verify: true, queue: { max_retry_time: 0.1 } })
  const before = await metric(/^meridian_log_entries_dropped_total\{plugin="http-log",reason="undeliverable"\} (\d+)/m)
  await get(strict.url)
  await get(lax.url)
  await waitUntil('one is there', () => receiver.requests.length === 1)
  await waitUntil('the other is dropped', async () => {
    const dropped = await metric(
      /^meridian_log_entries_dropped_total\{plugin="http-log",reason="undeliverable"\} (\d+)/m,
    )
    return dropped === (Number.isNaN(before) ? 0 : before) + 1
  })
  assert.ok(JSON.parse(receiver.requests[0]!.body).request.uri.startsWith(new URL(lax.url).pathname))
})

test('tcp-log writes lines over a connection that is opened again when it was closed, and over TLS with the name it is told', async () => {
  await using plain = await startTcpReceiver()
  await using tls = await startTcpReceiver(await makeCertificate(['logs.test']))
  const one = await routeWith('tcp-log', { host: '127.0.0.1', port: plain.port })
  const two = await routeWith('tcp-log', { host: '127.0.0.1', port: tls.port, tls: true, tls_sni: 'logs.test' })
  await get(one.url)
  await waitUntil('the first line', () => plain.lines().length === 1)
  plain.drop()
  await waitUntil('it is closed', () => plain.connections() === 0)
  await get(one.url)
  await waitUntil('the second line', () => plain.lines().length === 2)
  await get(two.url)
  await waitUntil('a line over TLS', () => tls.lines().length === 1)
  assert.equal(tls.servernames[0], 'logs.test')
  for (const line of [...plain.lines(), ...tls.lines()]) assert.equal(JSON.parse(line).response.status, 200)
})

test('a receiver that is not there costs the entries and no request, and the log says so once', async () => {
  const port = await freePort()
  const { url, id } = await routeWith('tcp-log', { host: '127.0.0.1', port, timeout: 200 })
  for (let i = 0; i < 20; i++) assert.equal((await fetch(url)).status, 200)
  await waitUntil('they are dropped', async () => {
    const dropped = await metric(
      /^meridian_log_entries_dropped_total\{plugin="tcp-log",reason="undeliverable"\} (\d+)/m,
    )
    return dropped === 20
  })
  const said = gateway.child.output.split('\n').filter((line) => line.includes(id))
  const perWorker = Map.groupBy(said, (line) => (JSON.parse(line) as { worker: number }).worker)
  for (const lines of perWorker.values()) {
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
      ['entries cannot be delivered, they are sent again', 'entries are dropped'],
    )
  }
})

test('a session below HTTP is logged when it ends', async () => {
  await using receiver = await startTcpReceiver()
  await using upstream = await startTcpReceiver()
  await admin('PUT', '/services/lines', { protocol: 'tcp', host: '127.0.0.1', port: upstream.port })
  const route = { protocols: ['tcp'], destinations: [{ port: streamPort }], service: { name: 'lines' } }
  await admin('PUT', '/routes/lines', route)
  await admin('POST', '/routes/lines/plugins', {
    name: 'tcp-log',
    protocols: ['tcp'],
    config: {
      host: '127.0.0.1',
      port: receiver.port,
      custom_fields: { size: '$(session.received)', none: '$(headers.x)' },
    },
  })
  const client = connect(streamPort, '127.0.0.1')
  client.end('a line\n')
  client.resume()
  await waitUntil('the session has come', () => upstream.lines().length === 1)
  upstream.drop()
  await waitUntil('it is logged', () => receiver.lines().length === 1)
  const { session, tries, service, latencies, size, ...rest } = JSON.parse(receiver.lines()[0]!)
  assert.deepEqual([session.received, session.server_port, size], [7, streamPort, 7])
  assert.deepEqual([tries[0].port, service.name, typeof latencies.session], [upstream.port, 'lines', 'number'])
  assert.ok(!('request' in rest) && !('none' in rest))
})

test('udp-log sends a datagram for each exchange', async () => {
  await using receiver = await startUdpReceiver()
  const { url } = await routeWith('udp-log', {
    host: '127.0.0.1',
    port: receiver.port,
    custom_fields: { much: '$(headers.x_much)' },
  })
  await get(url)
  await waitUntil('a datagram', () => receiver.datagrams.length === 1)
  assert.equal(JSON.parse(receiver.datagrams[0]!).response.status, 200)
})

test('file-log appends whole lines from all workers, in a file that is made anew on SIGUSR1', async () => {
  const file = path.join(folder, 'kept.log')
  const { url } = await routeWith('file-log', { path: file })
  await Promise.all(Array.from({ length: 200 }, (_, i) => get(`${url}?n=${i}`, { Connection: 'close' })))
  const lines = (of: string) => readFileSync(of, 'utf8').split('\n').slice(0, -1)
  await waitUntil('all lines', () => lines(file).length === 200)
  const seen = lines(file).map((line) => JSON.parse(line).request.querystring.n as string)
  assert.equal(new Set(seen).size, 200)
  assert.equal(statSync(file).mode & 0o777, 0o644)
  const moved = path.join(folder, 'moved.log')
  renameSync(file, moved)
  process.kill(gateway.child.pid, 'SIGUSR1')
  await waitUntil('a new file', () => statSync(file, { throwIfNoEntry: false }) !== undefined)
  await get(url)
  await waitUntil('a line in it', () => lines(file).length === 1)
  assert.equal(lines(moved).length, 200)
})

test('file-log with reopen goes on in a new file by itself, and a file that can not be opened costs no request', async () => {
  const file = path.join(folder, 'reopened.log')
  const { url } = await routeWith('file-log', { path: file, reopen: true })
  const count = () =>
    statSync(file, { throwIfNoEntry: false }) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
  await get(url)
  await waitUntil('a line', () => count() === 1)
  renameSync(file, `${file}.1`)
  await get(url)
  await waitUntil('a line in a new file', () => count() === 1)
  const impossible = await routeWith('file-log', { path: `${folder}/reopened.log/no/folder` })
  assert.equal((await fetch(impossible.url)).status, 200)
  await waitUntil('the log says so', () => gateway.child.output.includes('a log file cannot be written'))
})

test('syslog reaches a real rsyslogd: at its socket, over UDP and over TCP, with facility and severity', async (t) => {
  const program = await requirePart(t, 'rsyslog')
  if (program === null) return
  await using rsyslog = await startRsyslog(program)
  const remote = { host: '127.0.0.1', facility: 'local3', server_errors_severity: 'crit' }
  const made = [
    await routeWith('syslog', { socket: rsyslog.socket, facility: 'daemon', client_errors_severity: 'warning' }, 404),
    await routeWith('syslog', { ...remote, transport: 'udp', port: rsyslog.udp }, 503),
    await routeWith('syslog', { ...remote, transport: 'udp', port: rsyslog.udp, format: 'rfc3164' }, 503),
    await routeWith('syslog', { ...remote, transport: 'tcp', port: rsyslog.tcp, successful_severity: 'notice' }),
    await routeWith('loggly', { key: 'tok', host: '127.0.0.1', port: rsyslog.udp, tags: ['a', 'b'] }),
  ]
  for (const { url } of made) await get(url)
  await waitUntil('all are written', () => rsyslog.entries().length >= made.length)
  const found = made.map(({ url }) => {
    const { pathname } = new URL(url)
    const entry = rsyslog.entries().find(({ message }) => JSON.parse(message!.trim()).request.uri === pathname)!
    assert.equal(entry['program'], 'kong')
    return [entry['input'], entry['facility'], entry['severity'], entry['data']]
  })
  assert.deepEqual(found, [
    ['imuxsock', 'daemon', 'warning', '-'],
    ['imudp', 'local3', 'crit', '-'],
    ['imudp', 'local3', 'crit', '-'],
    ['imtcp', 'local3', 'notice', '-'],
    ['imudp', 'user', 'info', '[tok@41058 tag="a" tag="b"]'],
  ])
  assert.equal(rsyslog.entries().length, made.length)
})

for (const protocol of ['udp', 'tcp'] as const) {
  test(`statsd counts in a real statsd over ${protocol}`, async (t) => {
    const program = await requirePart(t, 'statsd')
    if (program === null) return
    await using server = await startStatsd(program, protocol)
    const { url } = await routeWith('statsd', {
      host: '127.0.0.1',
      port: server.port,
      use_tcp: protocol === 'tcp',
      udp_packet_size: protocol === 'udp' ? 1000 : 0,
      queue: { max_batch_size: 10, max_coalescing_delay: 0.1 },
      prefix: 'gw',
    })
    for (let i = 0; i < 10; i++) await get(url)
    await waitUntil('ten are counted', async () =>
      (await server.ask('counters')).includes("'gw.global.unmatched.request.count': 10"),
    )
    const counters = await server.ask('counters')
    assert.match(counters, /'gw\.global\.unmatched\.status\.200': 10/)
    assert.match(counters, /'statsd\.bad_lines_seen': 0/)
    const [values = ''] = /'gw\.global\.unmatched\.latency':\s*\[[^\]]*\]/.exec(await server.ask('timers')) ?? []
    assert.equal(values.split(',').length, 10)
  })
}

test('datadog sends its lines with tags', async () => {
  await using receiver = await startUdpReceiver()
  const { url } = await routeWith('datadog', { host: '127.0.0.1', port: receiver.port })
  await get(url)
  await waitUntil('a datagram', () => receiver.datagrams.length === 1)
  const lines = receiver.datagrams[0]!.split('\n')
  assert.equal(lines[0], 'kong.request.count:1|c|#name:,status:200,app:kong')
  assert.equal(lines.length, 5)
})

test('what waits is delivered when the configuration goes, and when the gateway ends', async () => {
  await using receiver = await startHttpReceiver()
  const slow = {
    http_endpoint: `http://127.0.0.1:${receiver.port}/`,
    queue: { max_batch_size: 100, max_coalescing_delay: 3600 },
  }
  const gone = await routeWith('http-log', slow)
  const kept = await routeWith('http-log', slow)
  await get(gone.url)
  await admin('DELETE', `/plugins/${gone.id}`)
  await waitUntil('the first', () => receiver.requests.length === 1)
  await get(kept.url)
  const exit = await gateway.stop()
  assert.deepEqual(exit, { code: 0, signal: null })
  assert.equal(receiver.requests.length, 2, gateway.child.output)
})
