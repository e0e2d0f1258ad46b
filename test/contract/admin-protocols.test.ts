/** What the Admin API says of protocols: those that are not served, and plugins that never run where they are put. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeclarative } from '#admin/declarative-source.ts'
import { testModel } from '#model/testing.ts'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import { openTestAdmin } from '../support/admin.ts'

const WARNING = 'x-meridian-warning'

test('routes and services whose protocols are not served are stored, and each answer with one says so', async () => {
  await using admin = await openTestAdmin()
  const warning = async (method: string, path: string, body?: unknown) => {
    const answer = await admin.call(method, path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.headers.get(WARNING)
  }
  const text = 'stored, but not served, because stream_listen is off: '
  assert.equal(await warning('POST', '/services', { name: 's', host: 'h', protocol: 'tcp' }), `${text}tcp`)
  const route = { protocols: ['tcp', 'udp'], destinations: [{ port: 1 }] }
  assert.equal(await warning('PUT', '/services/s/routes/r', route), `${text}tcp, udp`)
  assert.equal(await warning('GET', '/routes/r'), `${text}tcp, udp`)
  assert.equal(await warning('GET', '/routes/r/service'), `${text}tcp`)
  assert.equal(await warning('PATCH', '/services/s', { protocol: 'http' }), null)
  assert.equal(
    await warning('PATCH', '/routes/r', { protocols: ['grpc'], destinations: null, hosts: ['a'], strip_path: false }),
    null,
  )
  assert.equal(await warning('POST', '/plugins', { name: 'key-auth', route: { name: 'r' } }), null)
})

test('a plugin is refused when protocols are given and none is its route’s, or one of its service’s routes’', async () => {
  await using admin = await openTestAdmin()
  await admin.call('PUT', '/services/s', { host: 'h', protocol: 'tcp' })
  await admin.call('PUT', '/services/s/routes/tcp', { protocols: ['tcp'], destinations: [{ port: 1 }] })
  await admin.call('PUT', '/services/lonely', { host: 'h' })
  await admin.call('PUT', '/routes/http', { paths: ['/'] })
  const plugin = { name: 'correlation-id', protocols: ['http'] }
  const refusal = async (method: string, path: string, body: unknown) => {
    const { status, json } = await admin.call(method, path, body)
    return status < 300 ? null : [status, json.code, json.fields]
  }
  const ofRoute = [400, 2, { protocols: "must match the associated route's protocols" }]
  const ofService = [
    400,
    2,
    { protocols: "must match the protocols of at least one route pointing to this Plugin's service" },
  ]
  assert.deepEqual(await refusal('POST', '/routes/tcp/plugins', plugin), ofRoute)
  assert.deepEqual(await refusal('POST', '/plugins', { ...plugin, route: { name: 'tcp' } }), ofRoute)
  assert.deepEqual(await refusal('POST', '/services/s/plugins', plugin), ofService)
  assert.equal(await refusal('POST', '/services/lonely/plugins', plugin), null)
  assert.equal(await refusal('POST', '/routes/tcp/plugins', { name: 'correlation-id' }), null)

  const id = (await admin.call('POST', '/routes/http/plugins', plugin)).json.id
  assert.equal(await refusal('PATCH', `/plugins/${id}`, { enabled: false }), null)
  assert.deepEqual(await refusal('PATCH', `/plugins/${id}`, { route: { name: 'tcp' } }), ofRoute)
  assert.deepEqual(await refusal('PUT', `/plugins/${id}`, { ...plugin, service: { name: 's' } }), ofService)
  const moved = { route: null, service: { name: 's' }, protocols: ['tcp', 'http'] }
  assert.equal((await admin.call('PATCH', `/plugins/${id}`, moved)).status, 400, 'not a protocol of this plugin')
  assert.equal((await admin.call('GET', `/plugins/${id}`)).json.route.id.length, 36)
})

test('a state whose route took other protocols than its plugin, or whose plugin took the default ones, is dumped and loaded again', async () => {
  await using before = await openTestAdmin()
  const put = async (method: string, path: string, body: object) =>
    assert.ok((await before.call(method, path, body)).status < 300)
  await put('PUT', '/services/s', { host: 'h', protocol: 'tcp' })
  await put('PUT', '/services/s/routes/r', { paths: ['/'] })
  await put('POST', '/routes/r/plugins', { name: 'correlation-id', protocols: ['http'] })
  await put('POST', '/services/s/plugins', { name: 'cors', protocols: ['http', 'https'] })
  await put('PATCH', '/routes/r', { protocols: ['tcp'], paths: null, destinations: [{ port: 1 }] })
  await put('POST', '/routes/r/plugins', { name: 'key-auth' })
  const declarative = createDeclarative({ model: testModel(pluginSchemas, pluginEntities), nowMs: Date.now })
  const dumped = await declarative.dump(before.store)

  await using after = await openTestAdmin({ isDatabase: false })
  const answer = await after.call('POST', '/config', { config: dumped })
  assert.equal(answer.status, 201, answer.text)
  assert.equal((await after.call('GET', '/config')).json.config, dumped)
})
