import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminCall } from '../support/admin-call.ts'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

test('requests stay with targets of the node’s locality, and leave it when they fail', async () => {
  await using near = await startUpstream((_request, response) => void response.end('near'))
  await using far = await startUpstream((_request, response) => void response.end('far'))
  await using gateway = await startGateway({
    database: 'sqlite',
    workers: 2,
    settings: { locality: 'fra, ams', overload_delay: '0' },
  })
  const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)
  await admin('PUT', '/upstreams/u', { healthchecks: { passive: { unhealthy: { tcp_failures: 1 } } } })
  const tagged = await admin('POST', '/upstreams/u/targets', {
    target: `127.0.0.1:${far.port}`,
    tags: ['locality:lon'],
  })
  assert.ok(!('locality' in tagged), 'clients of Kong do not meet the field')
  const named = await admin('POST', '/upstreams/u/targets', { target: `127.0.0.1:${near.port}`, locality: 'fra' })
  assert.equal(named.locality, 'fra')
  await admin('PUT', '/services/s', { host: 'u' })
  await admin('PUT', '/routes/r', { paths: ['/'], service: { name: 's' } })
  const seen = async () => {
    const answers = new Set<string>()
    for (let i = 0; i < 20; i++) {
      // A connection for each, so that both workers are asked.
      const response = await fetch(gateway.proxyUrl, { headers: { connection: 'close' } })
      answers.add(await response.text())
    }
    return [...answers]
  }
  assert.deepEqual(await seen(), ['near'])
  await admin('PUT', `/upstreams/u/targets/127.0.0.1:${near.port}/unhealthy`)
  assert.deepEqual(await seen(), ['far'])
  const health = await admin('GET', '/upstreams/u/health?balancer_health=1')
  assert.equal(health.data.near_percent, 0)
  const page = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  assert.match(page, /^meridian_locality_picks_total\{place="near"\} 20$/m)
  assert.match(page, /^meridian_locality_picks_total\{place="far"\} 20$/m)
  assert.match(page, /^meridian_upstreams_spilling\{worker="[^"]+"\} 1$/m)
  await admin('PUT', `/upstreams/u/targets/127.0.0.1:${near.port}/healthy`)
  assert.deepEqual(await seen(), ['near'])
})
