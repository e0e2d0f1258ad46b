/** Compressed responses of a whole gateway: over both versions of HTTP, of upstreams, plugins and the cache, streamed, slow, cut off. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { connect, type IncomingHttpHeaders as Http2Headers } from 'node:http2'
import { after, before, test } from 'node:test'
import { brotliDecompressSync, createGunzip, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

const TEXT = JSON.stringify(Array.from({ length: 500 }, (_, id) => ({ id, name: `order ${id}` })))
const JSON_TYPE = { 'content-type': 'application/json', etag: '"v1"' }
const BIG_BYTES = 24 << 20

let upstream: Upstream
let gateway: Gateway
/** Responses that the upstream has yet to end, by target. */
const open = new Map<string, http.ServerResponse>()

before(async () => {
  upstream = await startUpstream(({ target, method, headers }, response) => {
    if (target === '/text' || target.startsWith('/cached'))
      return void response
        .writeHead(200, { ...JSON_TYPE, 'content-length': TEXT.length })
        .end(method === 'HEAD' ? '' : TEXT)
    if (target === '/chunks') {
      response.writeHead(200, JSON_TYPE)
      for (let at = 0; at < TEXT.length; at += 997) response.write(TEXT.slice(at, at + 997))
      return void response.end()
    }
    if (target === '/part')
      return void response
        .writeHead(206, { ...JSON_TYPE, 'content-range': 'bytes 0-1999/9999' })
        .end(TEXT.slice(0, 2000))
    if (target === '/unchanged') return void response.writeHead(304, { etag: '"v1"' }).end()
    if (target === '/told')
      return void response.writeHead(200, JSON_TYPE).end(String(headers['accept-encoding']).padEnd(2000))
    if (target === '/big') return sendBig(response)
    open.set(target, response)
    response.writeHead(200, { 'content-type': target === '/events' ? 'text/event-stream' : 'application/json' })
    response.write('data: one\n\n')
  })
  const ports = await freeGatewayPorts()
  const service = { host: '127.0.0.1', port: upstream.port }
  gateway = await startGateway({
    ports,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2, 127.0.0.1:${ports.tls} ssl http2` },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          ...service,
          name: 'plain',
          routes: [{ name: 'all', paths: ['/'], strip_path: false }],
          plugins: [{ name: 'compression', config: { uncompressed_upstream: true, flush_after: 20 } }],
        },
        {
          ...service,
          name: 'kept',
          routes: [{ name: 'cached', paths: ['/cached'], strip_path: false }],
          plugins: [
            { name: 'compression' },
            { name: 'proxy-cache', config: { strategy: 'memory', content_type: ['application/json'] } },
          ],
        },
        {
          ...service,
          name: 'own',
          routes: [{ name: 'own', paths: ['/own'] }],
          plugins: [
            { name: 'compression' },
            {
              name: 'request-termination',
              config: { status_code: 200, body: TEXT, content_type: 'application/json' },
            },
          ],
        },
        {
          ...service,
          name: 'changed',
          routes: [{ name: 'changed', paths: ['/changed'] }],
          path: '/text',
          plugins: [
            { name: 'compression' },
            { name: 'response-transformer', config: { add: { headers: ['x-added:yes'] } } },
          ],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

/** Half of it text, half of it noise, as fast as it is taken. */
function sendBig(response: http.ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  const piece = Buffer.alloc(65_536, 'a')
  for (let i = 0; i < piece.length / 2; i++) piece[i] = Math.random() * 256
  let sent = 0
  const send = (): void => {
    while (sent < BIG_BYTES) {
      sent += piece.length
      if (!response.write(piece)) return void response.once('drain', send)
    }
    response.end()
  }
  send()
}

interface Got {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly bytes: Buffer
}

function begin(path: string, headers: http.OutgoingHttpHeaders, method = 'GET'): Promise<http.IncomingMessage> {
  return within(
    'a response',
    new Promise((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port: gateway.proxyPort, path, method, headers }, resolve)
      request.on('error', reject)
      request.end()
    }),
  )
}

async function ask(path: string, accepted: string | null, method = 'GET', more: object = {}): Promise<Got> {
  const response = await begin(path, { ...(accepted !== null && { 'accept-encoding': accepted }), ...more }, method)
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return { status: response.statusCode!, headers: response.headers, bytes: Buffer.concat(parts) }
}

async function metric(name: string, labels: string): Promise<number> {
  const text = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name}{${labels}}`))
  return line === undefined ? 0 : Number(line.split(' ')[1])
}

const DECODE = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const
for (const encoding of ['gzip', 'br', 'zstd'] as const) {
  for (const path of ['/text', '/chunks', '/own', '/changed']) {
    test(`${path} in ${encoding} over HTTP/1.1`, async () => {
      const { status, headers, bytes } = await ask(path, encoding)
      assert.deepEqual([status, headers['content-encoding'], headers['vary']], [200, encoding, 'Accept-Encoding'])
      assert.deepEqual([headers['content-length'], headers['transfer-encoding']], [undefined, 'chunked'])
      if (path !== '/own') assert.equal(headers['etag'], 'W/"v1"')
      assert.ok(bytes.length < TEXT.length / 3, `${bytes.length} bytes`)
      assert.equal(DECODE[encoding](bytes).toString(), TEXT)
    })
  }

  test(`/text in ${encoding} over HTTP/2`, async () => {
    const session = connect(gateway.proxyUrl)
    const stream = session.request({ ':path': '/text', 'accept-encoding': encoding })
    const [headers] = (await within('a response', once(stream, 'response'))) as [Http2Headers]
    const parts: Buffer[] = []
    for await (const part of stream) parts.push(part as Buffer)
    session.close()
    assert.deepEqual([headers['content-encoding'], headers['content-length']], [encoding, undefined])
    assert.equal(DECODE[encoding](Buffer.concat(parts)).toString(), TEXT)
  })
}

test('who takes no encoding gets the bytes as they are, with their length and tag', async () => {
  for (const accepted of [null, 'identity', 'deflate', 'gzip;q=0']) {
    const { headers, bytes } = await ask('/text', accepted)
    assert.deepEqual(
      [headers['content-encoding'], headers['content-length'], headers['etag'], headers['vary']],
      [undefined, String(TEXT.length), '"v1"', 'Accept-Encoding'],
    )
    assert.equal(bytes.toString(), TEXT)
  }
})

test('HEAD has the headers of GET, and no length', async () => {
  const { headers, bytes } = await ask('/text', 'gzip', 'HEAD')
  assert.deepEqual(
    [headers['content-encoding'], headers['etag'], headers['content-length'], bytes.length],
    ['gzip', 'W/"v1"', undefined, 0],
  )
  const own = await ask('/own', 'gzip', 'HEAD')
  assert.deepEqual([own.headers['content-encoding'], own.headers['content-length']], ['gzip', undefined])
})

test('a part, and what did not change, pass as they are', async () => {
  const part = await ask('/part', 'gzip', 'GET', { range: 'bytes=0-1999' })
  assert.deepEqual([part.status, part.headers['content-encoding'], part.headers['etag']], [206, undefined, '"v1"'])
  assert.equal(part.bytes.toString(), TEXT.slice(0, 2000))
  const unchanged = await ask('/unchanged', 'gzip', 'GET', { 'if-none-match': 'W/"v1"' })
  assert.deepEqual([unchanged.status, unchanged.headers['etag'], unchanged.bytes.length], [304, 'W/"v1"', 0])
})

test('the upstream does not hear of encodings where it is not to use them', async () => {
  assert.equal(
    gunzipSync((await ask('/told', 'gzip')).bytes)
      .toString()
      .trim(),
    'undefined',
  )
})

test('a client of HTTP/1.0 gets it to the end of its connection', async () => {
  const { RawClient } = await import('../support/raw-client.ts')
  const net = await import('node:net')
  const client = new RawClient(net.connect(gateway.proxyPort, '127.0.0.1'))
  client.write('GET /text HTTP/1.0', 'Host: x', 'Accept-Encoding: gzip', 'Connection: keep-alive', '', '')
  await within('the end', client.closed)
  const [head = '', ...rest] = client.received.split('\r\n\r\n')
  assert.match(head, /content-encoding: gzip/i)
  assert.match(head, /connection: close/i)
  assert.equal(gunzipSync(Buffer.from(rest.join('\r\n\r\n'), 'latin1')).toString(), TEXT)
})

test('the cache keeps what the upstream sent, whatever the client took', async () => {
  const first = await ask('/cached', 'gzip')
  const second = await ask('/cached', null)
  const third = await ask('/cached', 'br')
  assert.deepEqual(
    [first, second, third].map(({ headers }) => [
      headers['x-cache-status'],
      headers['content-encoding'],
      headers['etag'],
    ]),
    [
      ['Miss', 'gzip', 'W/"v1"'],
      ['Hit', undefined, '"v1"'],
      ['Hit', 'br', 'W/"v1"'],
    ],
  )
  assert.equal(second.headers['content-length'], String(TEXT.length))
  assert.deepEqual([gunzipSync(first.bytes), second.bytes, brotliDecompressSync(third.bytes)].map(String), [
    TEXT,
    TEXT,
    TEXT,
  ])
})

for (const target of ['/events', '/trickle']) {
  test(`what comes piece by piece arrives so: ${target}`, async () => {
    const response = await begin(target, { 'accept-encoding': 'gzip' })
    assert.equal(response.headers['content-encoding'], 'gzip')
    const reader = response.pipe(createGunzip())
    const next = async () => String(((await within('a piece', once(reader, 'data'))) as [Buffer])[0])
    assert.equal(await next(), 'data: one\n\n')
    open.get(target)!.write('data: two\n\n')
    assert.equal(await next(), 'data: two\n\n')
    open.get(target)!.end()
    reader.resume()
    await within('the end', once(reader, 'end'))
  })
}

test('an upstream that breaks off cuts the response, and its stream is given back', async () => {
  const response = await begin('/broken', { 'accept-encoding': 'gzip' })
  response.resume()
  await waitUntil('the upstream is asked', () => open.has('/broken'))
  open.get('/broken')!.destroy()
  await assert.rejects(within('an end', once(response, 'end')), { code: 'ECONNRESET' })
  assert.equal((await ask('/text', 'gzip')).status, 200)
})

test('a client that reads slowly, and one that leaves, hold up the upstream and not the memory', async () => {
  const before = await metric('meridian_plugin_events_total', 'plugin="compression",event="gzip"')
  const memoryOf = async () =>
    Number(
      /VmRSS:\s+(\d+)/.exec((await import('node:fs')).readFileSync(`/proc/${gateway.child.pid}/status`, 'utf8'))![1],
    ) / 1024
  const atFirst = await memoryOf()
  const responses = await Promise.all(Array.from({ length: 6 }, () => begin('/big', { 'accept-encoding': 'gzip' })))
  // Nothing is read: what fits into buffers comes, and then no more.
  let last = -1
  let calm = 0
  await waitUntil('nothing more comes', async () => {
    const now = Math.round(await memoryOf())
    calm = now === last ? calm + 1 : 0
    last = now
    return calm > 10
  })
  const grown = (await memoryOf()) - atFirst
  assert.ok(grown < 100, `${Math.round(grown)} MiB for ${responses.length} clients`)
  const [reads, ...leave] = responses
  for (const response of leave) response.destroy()
  let bytes = 0
  const reader = reads!.pipe(createGunzip())
  for await (const part of reader) bytes += (part as Buffer).length
  assert.equal(bytes, BIG_BYTES)
  await waitUntil('every stream is counted', async () => {
    const now = await metric('meridian_plugin_events_total', 'plugin="compression",event="gzip"')
    return now === before + responses.length
  })
})
