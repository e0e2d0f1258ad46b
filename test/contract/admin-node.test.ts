/** What a node says of itself over the Admin API, and what can be set on it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AdminPorts } from '#admin/ports.ts'
import { openTestAdmin } from '../support/admin.ts'

test('the root says a version that clients of Kong accept, ours beside it, and the plugins in use', async () => {
  await using admin = await openTestAdmin({ built: ['cors', 'key-auth'] })
  await admin.call('POST', '/plugins', { name: 'cors' })
  const { json, headers } = await admin.call('GET', '/')
  assert.match(json.version, /^3\.9\.\d+$/)
  assert.deepEqual([json.meridian.version, json.meridian.revision], ['0.0.0', 1])
  assert.deepEqual(Object.keys(json.plugins.available_on_server).toSorted(), ['cors', 'key-auth'])
  assert.deepEqual(json.plugins.enabled_in_cluster, ['cors'])
  assert.equal(json.configuration.database, 'sqlite')
  assert.match(headers.get('server') ?? '', /^kong\/3\.9\.\d+ meridian\//)
  assert.match(headers.get('x-kong-admin-latency') ?? '', /^\d+$/)
  await admin.call('DELETE', `/plugins/${(await admin.call('GET', '/plugins')).json.data[0].id}`)
  assert.deepEqual((await admin.call('GET', '/')).json.plugins.enabled_in_cluster, [])
})

test('sizes of the status are in the unit and with the digits that are asked for', async () => {
  await using admin = await openTestAdmin()
  const heap = async (query: string) =>
    (await admin.call('GET', `/status${query}`)).json.memory.workers_lua_vms[0].http_allocated_gc
  assert.deepEqual(
    [await heap(''), await heap('?unit=k&scale=0'), await heap('?unit=G&scale=3'), await heap('?unit=b')],
    ['1.00 MiB', '1024 KiB', '0.001 GiB', 1_048_576],
  )
  for (const query of ['unit=x', 'scale=-1', 'scale=x', 'scale=1.5', 'scale=21', 'scale='])
    assert.equal((await admin.call('GET', `/status?${query}`)).status, 400, query)
})

test('every endpoint is listed, sorted by segments, and answers OPTIONS with its methods', async () => {
  await using admin = await openTestAdmin()
  const { data } = (await admin.call('GET', '/endpoints')).json as { data: string[] }
  assert.equal(new Set(data).size, data.length)
  assert.ok(data.indexOf('/services/{services}/routes') < data.indexOf('/services/{services}/routes/{routes}'))
  for (const path of data) {
    const answer = await admin.call('OPTIONS', path.replaceAll(/[{}]/g, ''))
    assert.equal(answer.status, 204, path)
    const methods = (answer.headers.get('allow') ?? '').split(', ')
    assert.deepEqual(methods, methods.toSorted())
    assert.equal(methods.includes('HEAD'), methods.includes('GET'), path)
  }
})

test('a log level is changed for some time, by a known name', async () => {
  await using admin = await openTestAdmin()
  const message = async (method: string, path: string, body?: unknown) =>
    (await admin.call(method, path, body)).json.message
  assert.equal(await message('GET', '/debug/node/log-level'), 'log level: notice')
  assert.equal(await message('PUT', '/debug/node/log-level/debug', { timeout: 5 }), 'log level changed')
  assert.equal(await message('PUT', '/debug/node/log-level/debug'), 'log level is already debug')
  assert.equal(await message('PUT', '/debug/node/log-level/loud'), 'unknown log level: loud')
  assert.equal(
    await message('PUT', '/debug/node/log-level/info', { timeout: -1 }),
    'timeout must be greater than or equal to 0',
  )
  assert.equal(await message('PUT', '/debug/node/log-level/info', { timeout: 'x' }), 'timeout must be a number')
  assert.equal(await message('GET', '/debug/node/log-level'), 'log level: debug')
})

const HEALTHY = { health: 'HEALTHY', data: { host: 'a.test', port: 1 } } as const

function healthOf(set: AdminPorts['health']['set']): AdminPorts['health'] {
  return {
    targets: async () => new Map([['a.test:1', HEALTHY]]),
    balancer: async () => ({ health: 'HEALTHY', balancer_health: 'HEALTHY' }),
    set,
  }
}

test('targets are shown with the health that this node knows, newest first', async () => {
  await using admin = await openTestAdmin({ overrides: { health: healthOf(async () => null) } })
  const { id } = (await admin.call('PUT', '/upstreams/u', {})).json
  for (const target of ['a.test:1', 'b.test:1']) await admin.call('POST', '/upstreams/u/targets', { target })
  const { json } = await admin.call('GET', '/upstreams/u/health')
  assert.deepEqual(
    json.data.map((one: any) => [one.target, one.health]),
    [
      ['b.test:1', 'DNS_ERROR'],
      ['a.test:1', 'HEALTHY'],
    ],
  )
  assert.deepEqual(json.data[1].data, HEALTHY.data)
  assert.match(json.node_id, /^[0-9a-f-]{36}$/)
  const whole = (await admin.call('GET', '/upstreams/u/health?balancer_health=1')).json
  assert.deepEqual(whole.data, { id, health: 'HEALTHY', balancer_health: 'HEALTHY' })
  const page = (await admin.call('GET', '/upstreams/u/targets?size=1')).json
  assert.deepEqual([page.data[0].target, page.offset, page.next], ['b.test:1', '1', '/upstreams/u/targets?offset=1'])
  assert.equal((await admin.call('GET', page.next)).json.data[0].target, 'a.test:1')
})

test('a node that keeps no health says so', async () => {
  await using admin = await openTestAdmin()
  await admin.call('PUT', '/upstreams/u', {})
  await admin.call('POST', '/upstreams/u/targets', { target: 'a.test:1' })
  assert.equal((await admin.call('GET', '/upstreams/u/health')).json.data[0].health, 'HEALTHCHECKS_OFF')
})

test('health is set by hand for a target or one of its addresses, and a reason against it is told', async () => {
  const calls: unknown[] = []
  const set: AdminPorts['health']['set'] = async (...call) => {
    calls.push(call)
    return call[2] === '9.9.9.9:1' ? 'no such address' : null
  }
  await using admin = await openTestAdmin({ overrides: { health: healthOf(set) } })
  const { id } = (await admin.call('PUT', '/upstreams/u', {})).json
  const target = (await admin.call('POST', '/upstreams/u/targets', { target: 'a.test:1' })).json
  assert.equal((await admin.call('PUT', '/upstreams/u/targets/a.test:1/unhealthy')).status, 204)
  assert.equal((await admin.call('POST', `/upstreams/${id}/targets/${target.id}/healthy`)).status, 204)
  assert.equal((await admin.call('PUT', '/upstreams/u/targets/a.test:1/10.0.0.1:1/healthy')).status, 204)
  const refused = await admin.call('PUT', '/upstreams/u/targets/a.test:1/9.9.9.9:1/healthy')
  assert.deepEqual([refused.status, refused.json.message], [400, 'no such address'])
  for (const path of ['/upstreams/nope/targets/a.test:1/healthy', '/upstreams/u/targets/b.test:1/healthy'])
    assert.equal((await admin.call('PUT', path)).status, 404)
  assert.deepEqual(calls.slice(0, 3), [
    [id, 'a.test:1', null, false],
    [id, 'a.test:1', null, true],
    [id, 'a.test:1', '10.0.0.1:1', true],
  ])
})

test('the cache of the node is read and emptied by key', async () => {
  const cached = new Map<string, unknown>([
    ['services:a', { name: 'a' }],
    ['scalar', 5],
  ])
  const caches: AdminPorts['caches'] = {
    get: async (key) => cached.get(key),
    delete: async (key) => void cached.delete(key),
    clear: async () => cached.clear(),
  }
  await using admin = await openTestAdmin({ overrides: { caches } })
  assert.deepEqual((await admin.call('GET', '/cache/services%3Aa')).json, { name: 'a' })
  assert.deepEqual((await admin.call('GET', '/cache/scalar')).json, { message: 5 })
  assert.equal((await admin.call('DELETE', '/cache/scalar')).status, 204)
  assert.equal((await admin.call('GET', '/cache/scalar')).status, 404)
  assert.equal((await admin.call('DELETE', '/cache')).status, 204)
  assert.equal(cached.size, 0)
})

test('/openapi.json describes every endpoint', async () => {
  await using admin = await openTestAdmin()
  const { json } = await admin.call('GET', '/openapi.json')
  assert.equal(json.openapi, '3.1.0')
  assert.deepEqual(Object.keys(json.paths).toSorted(), (await admin.call('GET', '/endpoints')).json.data.toSorted())
})
