/** Responses that a plugin takes whole, on a real gateway: what happens when upstream, plugin or client don't do their part. */
import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { ask } from '../support/ask.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const LONG = 'many words '.repeat(400)
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'

let model: Upstream
let upstream: Upstream
let gateway: Gateway | undefined
/** Connections to the upstream that wait. */
const waiting = new Set<Socket>()
let asked = 0
/** Of the last response of `/aging`. */
let version = 0

before(async () => {
  model = await startUpstream(({ target, body }, response) => {
    if (target === '/silent') return
    const { messages } = JSON.parse(body.toString()) as { messages: { content: string }[] }
    const content = messages[1]!.content.toUpperCase()
    response.end(JSON.stringify({ choices: [{ message: { content } }] }))
  })
  upstream = await startRawUpstream((socket) => {
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      asked++
      const path = text.split(' ')[1]!
      text = ''
      if (path.endsWith('/whole')) socket.write(`${HEAD}Content-Length: 4\r\n\r\nword`)
      else if (path.endsWith('/pieces')) {
        socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\nwo\r\n`)
        setImmediate(() => socket.write('2\r\nrd\r\n0\r\n\r\n'))
      } else if (path.endsWith('/aging')) {
        const aging = `${HEAD}Cache-Control: max-age=1, stale-while-revalidate=600\r\n`
        socket.write(`${aging}Content-Length: 2\r\n\r\nv${++version}`)
      } else if (path.endsWith('/closed')) socket.end(`${HEAD}\r\nword`)
      else if (path.endsWith('/long')) socket.write(`${HEAD}Content-Length: ${LONG.length}\r\n\r\n${LONG}`)
      else if (path.endsWith('/half')) socket.end(`${HEAD}Content-Length: 9\r\n\r\nhalf`)
      else if (path.endsWith('/endless')) {
        waiting.add(socket)
        socket.on('close', () => waiting.delete(socket))
        socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`)
        const more = (): void => {
          if (waiting.has(socket)) socket.write(`400\r\n${'x'.repeat(1024)}\r\n`, () => setImmediate(more))
        }
        more()
      } else {
        waiting.add(socket)
        socket.on('close', () => waiting.delete(socket))
        socket.write(`${HEAD}Content-Length: 9\r\n\r\nhalf`)
      }
    })
  })
  const ports = await freeGatewayPorts()
  const settings = { proxy_listen: `127.0.0.1:${ports.proxy} http2` }
  gateway = await startGateway({ ports, settings, declarative: declarative() })
})
after(async () => {
  await gateway?.stop()
  await model.close()
  await upstream.close()
})

function declarative(): object {
  const held = (more: object = {}, at = '') => ({
    name: 'ai-response-transformer',
    config: {
      prompt: 'p',
      ...more,
      llm: {
        route_type: 'llm/v1/chat',
        model: { provider: 'openai', name: 'm', options: { upstream_url: `http://127.0.0.1:${model.port}/${at}` } },
      },
    },
  })
  const routes: Record<string, object[]> = {
    '/held': [held()],
    '/changed': [
      held(),
      { name: 'response-transformer', config: { add: { headers: ['X-Added:1'] } } },
      { name: 'compression', config: { min_length: 100 } },
    ],
    '/stored': [held(), { name: 'proxy-cache', config: { strategy: 'memory', cache_control: true } }],
    '/silent': [held({ http_timeout: 100 }, 'silent')],
    '/impatient': [held({ http_timeout: 1 })],
  }
  return {
    _format_version: '3.0',
    services: [
      {
        url: `http://127.0.0.1:${upstream.port}`,
        routes: Object.entries(routes).map(([path, plugins]) => ({ paths: [path], plugins })),
      },
    ],
  }
}

const get = (path: string, headers: Record<string, string> = {}) => ask(gateway!.proxyUrl + path, { headers })

test('a response is taken whole, however its body is delimited', async () => {
  for (const path of ['whole', 'pieces', 'closed']) {
    const { status, text, headers } = await get(`/held/${path}`)
    assert.deepEqual([status, text, headers['content-length']], [200, 'WORD', '4'], path)
  }
})

test('other plugins see what was made of it', async () => {
  const { headers, status } = await get('/changed/whole')
  assert.deepEqual([status, headers['x-added'], headers['content-encoding']], [200, '1', undefined])
  const signal = AbortSignal.timeout(20_000)
  const packed = await fetch(`${gateway!.proxyUrl}/changed/long`, { headers: { 'accept-encoding': 'gzip' }, signal })
  // It undoes the encoding by itself.
  assert.equal(packed.headers.get('content-encoding'), 'gzip')
  assert.equal(await packed.text(), LONG.toUpperCase())
})

test('what was made of it is stored, and what is fetched anew without a client is taken whole as well', async () => {
  const stored = async () => {
    const { status, text, headers } = await get('/stored/aging')
    assert.equal(status, 200)
    return `${String(headers['x-cache-status'])} ${text}`
  }
  assert.deepEqual([await stored(), await stored()], ['Miss V1', 'Hit V1'])
  await waitUntil('it is no longer fresh', async () => (await stored()) === 'Stale V1')
  await waitUntil('what was fetched meanwhile is served', async () => / V[2-9]$/.test(await stored()))
})

test('a body that does not end well reaches nobody', async () => {
  const before = asked
  const half = await get('/held/half')
  assert.equal(half.status, 502)
  assert.ok(!half.text.includes('half') && !half.text.includes('HALF'), half.text)
  assert.ok(asked > before)
  const endless = await get('/held/endless')
  assert.equal(endless.status, 500)
  assert.match(endless.text, /larger than max_request_body_size/)
  await waitUntil('the upstream to be let go', () => waiting.size === 0)
})

test('nobody waits for ever: not for a model, and not for the rest of a body', async () => {
  const silent = await get('/silent/whole')
  assert.deepEqual([silent.status, silent.json], [500, { error: { message: 'failed to ask the AI service' } }])
  const impatient = await get('/impatient/stuck')
  assert.equal(impatient.status, 504)
  await waitUntil('the upstream to be let go', () => waiting.size === 0)
})

test('a client that leaves lets the upstream go', async () => {
  const { hostname, port } = new URL(gateway!.proxyUrl)
  const client = connect(Number(port), hostname)
  await once(client, 'connect')
  client.write('GET /held/stuck HTTP/1.1\r\nHost: a\r\n\r\n')
  await waitUntil('the upstream to be asked', () => waiting.size === 1)
  client.destroy()
  await waitUntil('the upstream to be let go', () => waiting.size === 0)
  assert.equal((await get('/held/whole')).text, 'WORD')
})

test('a response without a body is not held', async () => {
  const head = await ask(`${gateway!.proxyUrl}/held/whole`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '4'])
})

test('clients of HTTP/2 get the same', async () => {
  const session = connectHttp2(gateway!.proxyUrl)
  try {
    for (const [path, said] of [
      ['/held/pieces', '200 WORD'],
      ['/held/half', '502 '],
    ] as const) {
      const stream = session.request({ ':path': path })
      const [headers] = (await once(stream, 'response')) as [{ ':status': number }]
      let text = ''
      for await (const chunk of stream) text += String(chunk)
      assert.ok(`${headers[':status']} ${text}`.startsWith(said), text)
    }
  } finally {
    session.destroy()
  }
})
