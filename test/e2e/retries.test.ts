import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { a, srv, startDnsServer, type DnsHandler, type DnsServer } from '../support/dns-server.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient, RawClient } from '../support/raw-client.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

let gateway: Gateway
let dns: DnsServer
let upstream: Upstream
/** Takes a request and ends the connection without an answer. */
let mute: Upstream
let muted = 0
/** Takes a request and says nothing. */
let silent: Upstream
let shown: RawClient[] = []

let answers: DnsHandler = () => null

before(async () => {
  upstream = await startUpstream()
  mute = await startRawUpstream((socket: Socket) => {
    socket.once('data', () => {
      muted++
      socket.end()
    })
  })
  silent = await startRawUpstream((socket: Socket) => shown.push(new RawClient(socket)))
  dns = await startDnsServer((question) => answers(question))
  const nobody = await freePort()
  const target = (port: number, weight = 100) => ({ target: `127.0.0.1:${port}`, weight })
  const service = (name: string, host: string, more: object = {}) => ({
    name,
    host,
    port: upstream.port,
    routes: [{ name, paths: [`/${name}`] }],
    ...more,
  })
  gateway = await startGateway({
    settings: { dns_resolver: dns.address, upstream_keepalive_pool_size: '0', dns_stale_ttl: '0' },
    declarative: {
      _format_version: '3.0',
      upstreams: [
        { name: 'refusing', targets: [target(nobody, 65535), target(upstream.port, 1)] },
        { name: 'muting', targets: [target(mute.port, 65535), target(upstream.port, 1)] },
        { name: 'silent-first', targets: [target(silent.port, 65535), target(upstream.port, 1)] },
        { name: 'only-refusing', targets: [target(nobody)] },
        { name: 'empty' },
        { name: 'named', targets: [{ target: 'pool.test:80' }] },
      ],
      services: [
        service('refused', 'refusing'),
        service('refused-once', 'refusing', { retries: 0 }),
        service('muted', 'muting'),
        service('timed', 'silent-first', { read_timeout: 400 }),
        service('timed-alone', '127.0.0.1', { port: silent.port, read_timeout: 400, retries: 2 }),
        service('unconnected', 'only-refusing', { retries: 3 }),
        service('empty', 'empty'),
        service('named', 'name.test'),
        service('unknown', 'unknown.test'),
        service('srv', 'named'),
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  for (const { close } of [upstream, mute, silent]) await close()
  await dns[Symbol.asyncDispose]()
})

async function ask(target: string, init: RequestInit = {}): Promise<{ status: number; json: any }> {
  const response = await fetch(gateway.proxyUrl + target, { signal: AbortSignal.timeout(15_000), ...init })
  const text = await response.text()
  return { status: response.status, json: text === '' ? null : JSON.parse(text) }
}

const POST = { method: 'POST', body: 'once' }

test('a target that refuses the connection is passed over for the next, whatever the method', async () => {
  for (let i = 0; i < 5; i++) {
    assert.equal((await ask('/refused')).status, 200)
    const { status, json } = await ask('/refused', POST)
    assert.deepEqual([status, json.body], [200, 'once'])
  }
})

test('without retries, or when every target refuses, it is 502', async () => {
  const statuses = new Set<number>()
  for (let i = 0; i < 3; i++) statuses.add((await ask('/refused-once')).status)
  assert.ok(statuses.has(502), [...statuses].join())
  const { status, json } = await ask('/unconnected')
  assert.deepEqual([status, json.message], [502, 'An invalid response was received from the upstream server'])
})

test('a request that may be repeated is, after a target took it and gave no answer; a POST is not', async () => {
  muted = 0
  assert.equal((await ask('/muted')).status, 200)
  assert.ok(muted > 0, 'the muting target was not asked')
  muted = 0
  const before = upstream.received.length
  assert.equal((await ask('/muted', POST)).status, 502)
  assert.equal(muted, 1)
  assert.equal(upstream.received.length, before)
  assert.equal((await ask('/muted', { method: 'PUT', body: 'again' })).status, 200)
})

test('no answer within read_timeout is 504, and a client is not kept waiting by retries on the same target', async () => {
  shown = []
  const { status, json } = await ask('/timed-alone', POST)
  assert.deepEqual([status, json.message], [504, 'The upstream server is timing out'])
  assert.equal(shown.length, 1)
  await shown[0]!.end()
})

test('after a time-out a request that may be repeated goes to the next target, a POST does not', async () => {
  shown = []
  assert.equal((await ask('/timed')).status, 200)
  assert.equal(shown.length, 1)
  shown = []
  assert.equal((await ask('/timed', POST)).status, 504)
  assert.equal(shown.length, 1)
})

test('an upstream without targets is 503', async () => {
  const { status, json } = await ask('/empty')
  assert.deepEqual([status, json.message], [503, 'failure to get a peer from the ring-balancer'])
})

test('a service’s name is asked of the name server, and asked again when its time is over', async () => {
  answers = ({ name, type }) => ({ answers: type === 'A' ? [a(name, '127.0.0.1', 1)] : [] })
  const asked = () => dns.questions.filter(({ name, type }) => name === 'name.test' && type === 'A').length
  assert.equal((await ask('/named')).status, 200)
  assert.equal((await ask('/named')).status, 200)
  assert.equal(asked(), 1)
  await waitUntil('the name is asked for again', async () => {
    assert.equal((await ask('/named')).status, 200)
    return asked() > 1
  })
})

test('a name that does not exist is 503', async () => {
  answers = () => ({ rcode: 3 })
  const { status, json } = await ask('/unknown')
  assert.deepEqual([status, json.message], [503, 'name resolution failed'])
})

test('a target’s SRV record names host and port', async () => {
  answers = ({ name, type }) => {
    if (name === 'pool.test' && type === 'SRV')
      return { answers: [srv(name, { target: 'one.pool.test', port: upstream.port })] }
    if (name === 'one.pool.test' && type === 'A') return { answers: [a(name, '127.0.0.1')] }
    return { answers: [] }
  }
  await waitUntil('the record is taken', async () => (await ask('/srv')).status === 200)
})

test('a body that is streamed is not repeated once a part of it was sent', async () => {
  muted = 0
  using client = await openRawClient(gateway.proxyPort)
  client.request('PUT /muted HTTP/1.1', 'Content-Length: 1000000')
  client.write('x'.repeat(200_000))
  assert.equal((await client.response()).status, 502)
  assert.equal(muted, 1)
})
