/** Copies of requests to a shadow by a whole gateway: services and upstreams, streamed bodies, and a shadow that hangs. */
import assert from 'node:assert/strict'
import http from 'node:http'
import { type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startRawUpstream, startUpstream, type ReceivedRequest, type Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

let upstream: Upstream
let shadow: Upstream
let hanging: Upstream
let gateway: Gateway
const held: Socket[] = []

before(async () => {
  upstream = await startUpstream(({ body, target }, response) => response.end(`${target} ${body.length}`))
  shadow = await startUpstream((_, response) => response.writeHead(500).end('the shadow says no'))
  hanging = await startRawUpstream((socket) => void held.push(socket))
  const route = (name: string, config: object) => ({
    name,
    paths: [`/${name}`],
    plugins: [{ name: 'request-mirror', config: { max_body_bytes: 1 << 20, ...config } }],
  })
  gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          url: `http://127.0.0.1:${upstream.port}/v1`,
          routes: [
            route('url', { url: `http://127.0.0.1:${shadow.port}/shadow` }),
            route('service', { service: 'shadow' }),
            route('upstream', { service: 'pooled' }),
            { ...route('streamed', { service: 'shadow' }), request_buffering: false },
            route('hangs', { url: `http://127.0.0.1:${hanging.port}`, timeout: 500, queue_size: 2, concurrency: 1 }),
            {
              name: 'ended',
              paths: ['/ended'],
              plugins: [
                { name: 'request-mirror', config: { service: 'shadow' } },
                { name: 'request-termination', config: { status_code: 200 } },
              ],
            },
          ],
        },
        { name: 'shadow', url: `http://127.0.0.1:${shadow.port}/v2` },
        { name: 'pooled', host: 'pool', path: '/v3' },
      ],
      upstreams: [{ name: 'pool', targets: [{ target: `127.0.0.1:${shadow.port}` }] }],
    },
  })
})
after(async () => {
  await gateway.stop()
  for (const socket of held) socket.destroy()
  await Promise.all([upstream, shadow, hanging].map((one) => one.close()))
})

async function send(path: string, body: string | null = null): Promise<string> {
  const response = await fetch(gateway.proxyUrl + path, {
    method: body === null ? 'GET' : 'POST',
    headers: { authorization: 'Bearer secret' },
    body,
    signal: AbortSignal.timeout(15_000),
  })
  assert.equal(response.status, 200)
  return response.text()
}

async function copyOf(target: string): Promise<ReceivedRequest> {
  let found: ReceivedRequest | undefined
  await waitUntil(`the copy of ${target}`, () => {
    found = shadow.received.find((one) => one.target === target)
    return found !== undefined
  })
  return found!
}

for (const [path, target] of [
  ['/url/a?b=1', '/shadow/v1/a?b=1'],
  ['/service/a?b=2', '/v2/a?b=2'],
  ['/upstream/a?b=3', '/v3/a?b=3'],
] as const) {
  test(`the shadow gets a copy, and the client the upstream's answer: ${path}`, async () => {
    assert.equal(await send(path, 'x'.repeat(1000)), `/v1/a?${path.split('?')[1]} 1000`)
    const { method, headers, body } = await copyOf(target)
    assert.deepEqual([method, body.toString(), headers['authorization']], ['POST', 'x'.repeat(1000), undefined])
    assert.match(headers['x-meridian-mirror'] ?? '', /^[0-9a-f]{32}$/)
  })
}

test('a body that streams is copied as it passes', async () => {
  const answer = new Promise<string>((resolve, reject) => {
    const request = http.request(`${gateway.proxyUrl}/streamed/x`, { method: 'POST' }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => resolve(text))
    })
    request.on('error', reject)
    let sent = 0
    const piece = () => {
      if (sent++ === 20) return void request.end()
      request.write(String(sent).padEnd(20_000, '.'))
      setTimeout(piece, 2)
    }
    piece()
  })
  assert.equal(await within('an answer', answer), '/v1/x 400000')
  const { body } = await copyOf('/v2/x')
  assert.equal(body.toString(), Array.from({ length: 20 }, (_, i) => String(i + 1).padEnd(20_000, '.')).join(''))
})

test('a shadow that hangs slows nobody down; what it can not take is counted', async () => {
  const count = async (event: string) => {
    const text = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
    const match = new RegExp(`meridian_plugin_events_total\\{plugin="request-mirror",event="${event}"\\} (\\d+)`).exec(
      text,
    )
    return Number(match?.[1] ?? 0)
  }
  for (let i = 0; i < 10; i++) assert.equal(await send('/hangs'), '/v1 0')
  await waitUntil(
    'every copy has met its fate',
    async () => (await count('failed')) + (await count('dropped_full')) === 10,
  )
  assert.ok((await count('dropped_full')) >= 5)
})

test('a request that a plugin ends is no request to the upstream, and not copied', async () => {
  await send('/ended/never')
  await send('/service/last')
  await copyOf('/v2/last')
  assert.equal(
    shadow.received.some(({ target }) => target.endsWith('never')),
    false,
  )
})
