import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { freePorts } from '../support/free-port.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'

const gateways: Gateway[] = []
after(async () => {
  for (const gateway of gateways) await gateway.stop()
})

async function startWith(plugin: object, target: string): Promise<Gateway> {
  const gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      plugins: [{ name: 'prometheus', ...plugin }],
      upstreams: [
        {
          name: 'u',
          targets: [{ target }],
          healthchecks: { passive: { unhealthy: { tcp_failures: 1 }, healthy: { successes: 1 } } },
        },
      ],
      services: [{ host: 'u', retries: 1, routes: [{ paths: ['/'] }] }],
    },
  })
  gateways.push(gateway)
  return gateway
}

/** The series of the one target, by state. */
async function states(gateway: Gateway, target: string): Promise<Record<string, number>> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  const lines = page.matchAll(
    /^kong_upstream_target_health\{upstream="u",target="(.+?)",address="(.+?)",state="(.+?)",subsystem="http"\} (\d)$/gm,
  )
  return Object.fromEntries(
    [...lines].map(([, name, address, state, value]) => {
      assert.deepEqual([name, address], [target, target])
      return [state!, Number(value)]
    }),
  )
}

test('with upstream_health_metrics the page of metrics says the state of each target', async () => {
  // Nobody listens there: the first try counts as a failure of the connection.
  const target = `127.0.0.1:${(await freePorts(1))[0]}`
  const gateway = await startWith({ config: { upstream_health_metrics: true } }, target)
  const none = { healthchecks_off: 0, healthy: 0, unhealthy: 0, dns_error: 0 }
  assert.deepEqual(await states(gateway, target), { ...none, healthy: 1 })
  assert.ok((await fetch(gateway.proxyUrl)).status >= 500)
  assert.deepEqual(await states(gateway, target), { ...none, unhealthy: 1 })
})

test('without it, or where the plugin is disabled, there are no such series', async () => {
  const target = '127.0.0.1:1'
  assert.deepEqual(await states(await startWith({}, target), target), {})
  const disabled = { enabled: false, config: { upstream_health_metrics: true } }
  assert.deepEqual(await states(await startWith(disabled, target), target), {})
})

test('a target that fails in one workspace is not unhealthy in another that has an upstream of the same name', async () => {
  const target = `127.0.0.1:${(await freePorts(1))[0]}`
  const gateway = await startGateway({ database: 'sqlite', workers: 2 })
  gateways.push(gateway)
  const admin = async (method: string, path: string, body?: object): Promise<any> => {
    const response = await fetch(gateway.adminUrl + path, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const text = await response.text()
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text)
  }
  await admin('POST', '/workspaces', { name: 'w2' })
  const healthchecks = { passive: { unhealthy: { tcp_failures: 1 } } }
  // In this order a search by name finds the wrong one.
  for (const [workspace, id] of [
    ['', 'aaaaaaaa-0000-4000-8000-000000000002'],
    ['/w2', 'aaaaaaaa-0000-4000-8000-000000000001'],
  ]) {
    await admin('PUT', `${workspace}/upstreams/${id}`, { name: 'u', healthchecks })
    await admin('POST', `${workspace}/upstreams/u/targets`, { target })
    await admin('POST', `${workspace}/services`, { name: 's', host: 'u', retries: 1 })
  }
  await admin('POST', '/w2/services/s/routes', { paths: ['/w2'] })
  // Connections of their own, so that each worker has some and tells the other.
  for (let i = 0; i < 20; i++) {
    const response = await fetch(`${gateway.proxyUrl}/w2`, { headers: { connection: 'close' } })
    await response.arrayBuffer()
    assert.ok(response.status >= 500)
  }
  const health = async (workspace: string) =>
    (await admin('GET', `${workspace}/upstreams/u/health`)).data.map((one: { health: string }) => one.health)
  assert.deepEqual(await health('/w2'), ['UNHEALTHY'])
  assert.deepEqual(await health(''), ['HEALTHY'])
})
