/** Plugins that change bodies: what the client sees when one of them fails, and of responses without a body. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-plugin-'))
/** Puts a body into capitals, and throws at the words that the tests use. */
const file = path.join(folder, 'capitals.ts')
writeFileSync(
  file,
  `
import { definePlugin, definePluginSchema, t } from 'meridian/pdk'

export default definePlugin({
  schema: definePluginSchema({
    name: 'capitals', priority: 820, version: '1.0.0',
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: { note: t.string() },
  }),
  prepare: () => null,
  responseBody() {
    let failsAtEnd = false
    return {
      chunk(bytes: Buffer) {
        const text = bytes.toString()
        if (text.includes('bad')) throw new Error('seen bad')
        failsAtEnd = text.includes('late')
        return Buffer.from(text.toUpperCase())
      },
      end() {
        if (failsAtEnd) throw new Error('seen late')
        return Buffer.from('!')
      },
    }
  },
})
`,
)

let upstream: Upstream
let gateway: Gateway
before(async () => {
  upstream = await startUpstream((request, response) => {
    if (request.target === '/streamed') {
      response.write('first ')
      setTimeout(() => response.end('then bad'), 20)
      return
    }
    response.end(request.target.slice(1))
  })
  gateway = await startGateway({
    settings: { plugin_paths: file, log_level: 'info' },
    declarative: {
      _format_version: '3.0',
      plugins: [{ name: 'capitals' }],
      services: [
        { name: 's', host: '127.0.0.1', port: upstream.port, routes: [{ paths: ['/'], strip_path: false }] },
        {
          name: 'own',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [
            {
              paths: ['/own'],
              plugins: [{ name: 'request-termination', config: { status_code: 200, message: 'bad' } }],
            },
          ],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
  rmSync(folder, { recursive: true })
})

function ask(
  method: string,
  url: string,
): Promise<{ status: number; headers: http.IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port: gateway.proxyPort, method, path: url }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => (body += text))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }))
    })
    request.on('error', reject)
    request.end()
  })
}

test('a changed body goes out in chunks, for its length is not known before', async () => {
  const { status, headers, body } = await ask('GET', '/hello')
  assert.equal(status, 200)
  assert.equal(headers['content-length'], undefined)
  assert.equal(body, 'HELLO!')
})

test('a response to HEAD does not promise the length of the body before its change', async () => {
  const { status, headers, body } = await ask('HEAD', '/hello')
  assert.equal(status, 200)
  assert.equal(headers['content-length'], undefined)
  assert.equal(body, '')
})

for (const [where, url] of [
  ['with the first bytes', '/bad'],
  ['in the middle', '/streamed'],
  ['at the end', '/late'],
] as const) {
  test(`a plugin that throws ${where} of a body cuts the response, is logged once, and the worker serves on`, async () => {
    const before = gateway.child.output.length
    await assert.rejects(ask('GET', url), { code: 'ECONNRESET' })
    const told = () => gateway.child.output.slice(before).match(/seen (bad|late)/g) ?? []
    await waitUntil('the failure is logged', () => told().length > 0)
    assert.equal((await ask('GET', '/next')).body, 'NEXT!')
    assert.equal(
      gateway.child.output
        .slice(before)
        .split('\n')
        .filter((line) => /seen (bad|late)/.test(line)).length,
      1,
    )
  })
}

test('a plugin that throws at an answer of the gateway’s own makes it a 500 without a body', async () => {
  const { status, body } = await ask('GET', '/own')
  assert.equal(status, 500)
  assert.equal(body, '')
})
