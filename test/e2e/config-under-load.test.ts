import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { effort } from '../support/effort.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-load-'))
after(() => rmSync(folder, { recursive: true }))

const HOSTS = 1000
const SERVICES = 50
const hostOf = (i: number) => `h${i % HOSTS}.test`
const pathOf = (i: number) => `/p${Math.floor(i / HOSTS)}`
const serviceOf = (i: number) => (i * 7 + Math.floor(i / HOSTS)) % SERVICES

function get(port: number, agent: Agent, host: string, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ port, agent, path: target, headers: { host }, timeout: 20_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve(`${response.statusCode} ${body}`))
    })
      .on('error', reject)
      .on('timeout', function (this: { destroy(error: Error): void }) {
        this.destroy(new Error(`no answer for ${host}${target}`))
      })
      .end()
  })
}

/** Connections of their own that ask without a pause until they are told to end; rejects with the first answer that is wrong. */
function load(connections: number, ask: (agent: Agent, connection: number) => Promise<void>) {
  const state = { isOn: true }
  let asked = 0
  const all = Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      while (state.isOn) {
        await ask(agent, connection)
        asked++
      }
      agent.destroy()
    }),
  )
  // Told by `end`; until then it must not count as unhandled.
  all.catch(() => undefined)
  return {
    end: async () => {
      state.isOn = false
      await all
      return asked
    },
  }
}

/** Every service's path names the version and the service, so that an answer shows by which configuration it came. */
function fileOf(port: number, routes: number, version: string): object {
  return {
    _format_version: '3.0',
    services: Array.from({ length: SERVICES }, (_, s) => ({
      name: `s${s}`,
      host: '127.0.0.1',
      port,
      path: `/${version}/s${s}`,
    })),
    routes: Array.from({ length: routes }, (_, i) => ({
      name: `r${i}`,
      hosts: [hostOf(i)],
      paths: [pathOf(i)],
      service: { name: `s${serviceOf(i)}` },
    })),
  }
}

async function startWithFile(file: string): Promise<Gateway> {
  // Shedding load would be an answer of its own, and the machine that tests is busy.
  return startGateway({ workers: 2, declarative: file, settings: { overload_delay: '0', log_level: 'info' } })
}

test('50,000 routes are loaded from one file, and every change of the file is taken over whole under load', async () => {
  const ROUTES = 50_000
  await using upstream = await startUpstream((received, response) => response.end(received.target))
  const file = path.join(folder, 'many.json')
  const write = (version: string) => {
    writeFileSync(`${file}.new`, JSON.stringify(fileOf(upstream.port, ROUTES, version)))
    renameSync(`${file}.new`, file)
  }
  write('v1')
  await using gateway = await startWithFile(file)
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  for (let i = 0; i < ROUTES; i += 97) {
    const answer = await get(gateway.proxyPort, agent, hostOf(i), `${pathOf(i)}/x`)
    assert.equal(answer, `200 /v1/s${serviceOf(i)}/x`)
  }
  assert.match(await get(gateway.proxyPort, agent, 'h0.test', '/q/x'), /^404 /)
  agent.destroy()

  // A connection stays with its worker, so that on each the versions only go up.
  const seen: number[] = []
  const loading = load(6, async (own, connection) => {
    const i = Math.floor(Math.random() * ROUTES)
    const answer = await get(gateway.proxyPort, own, hostOf(i), `${pathOf(i)}/x`)
    const match = /^200 \/v(\d)\/s(\d+)\/x$/.exec(answer)
    assert.ok(match, `${hostOf(i)}${pathOf(i)}: ${answer}`)
    assert.equal(Number(match[2]), serviceOf(i))
    const version = Number(match[1])
    assert.ok(version >= (seen[connection] ?? 1), `version ${version} after ${seen[connection]}`)
    seen[connection] = version
  })
  await sleep(200)
  for (const version of [2, 3]) {
    write(`v${version}`)
    await waitUntil(`version ${version} is served`, () => seen.every((served) => served === version), 30_000)
  }
  const asked = await loading.end()
  assert.ok(asked > 100, `${asked} requests`)
})

test('routes that are added, changed and removed over the Admin API are right from the moment of its answer', async () => {
  const KEPT = 200
  await using upstream = await startUpstream((received, response) => response.end(received.target))
  await using gateway = await startGateway({ workers: 2, database: 'sqlite', settings: { overload_delay: '0' } })
  const admin = async (method: string, target: string, body?: object): Promise<void> => {
    const response = await fetch(gateway.adminUrl + target, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    })
    const text = await response.text()
    assert.ok(response.ok, `${method} ${target}: ${response.status} ${text}`)
    assert.equal(response.headers.get('x-config-serving'), null, 'not served by all workers in time')
  }
  for (const name of ['a', 'b'])
    await admin('PUT', `/services/${name}`, { host: '127.0.0.1', port: upstream.port, path: `/${name}` })
  const route = (i: number, service: string) =>
    admin('PUT', `/routes/r${i}`, { hosts: [`h${i}.test`], paths: [`/p${i}`], service: { name: service } })
  for (let i = 0; i < KEPT; i++) await route(i, 'a')

  // Those that no change touches must never be wrong.
  const loading = load(4, async (own) => {
    const i = Math.floor(Math.random() * KEPT)
    assert.equal(await get(gateway.proxyPort, own, `h${i}.test`, `/p${i}/x`), '200 /a/x')
  })
  // New connections, so that any worker may answer.
  const agent = new Agent({ keepAlive: false, maxSockets: 8 })
  const everywhere = async (i: number, expected: RegExp) => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => get(gateway.proxyPort, agent, `h${i}.test`, `/p${i}/x`)),
    )
    for (const answer of answers) assert.match(answer, expected)
  }
  for (let change = 0; change < effort(40, 400); change++) {
    const i = KEPT + change
    await route(i, 'a')
    await everywhere(i, /^200 \/a\/x$/)
    await admin('PATCH', `/routes/r${i}`, { service: { name: 'b' } })
    await everywhere(i, /^200 \/b\/x$/)
    await admin('PATCH', '/services/b', { path: `/b${change}` })
    await everywhere(i, new RegExp(`^200 /b${change}/x$`))
    await admin('DELETE', `/routes/r${i}`)
    await everywhere(i, /^404 /)
    await admin('PATCH', '/services/b', { path: '/b' })
  }
  const asked = await loading.end()
  assert.ok(asked > 100, `${asked} requests`)
})
