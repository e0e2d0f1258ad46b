import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Service } from '#model/entities/service.ts'
import { NamedEntities, OtherServices } from './other-services.ts'
import type { CompiledRoute, CompiledService } from './snapshot.ts'

const own = {
  id: 's1',
  protocol: 'http',
  host: 'own.test',
  port: 80,
  path: '/own',
  read_timeout: 7,
  tls_verify: true,
  proxy_protocol: 'v2',
} as unknown as Service

function bed() {
  let compilations = 0
  const compile = (service: Service): CompiledService => {
    compilations++
    return { service, host: service.host } as CompiledService
  }
  const others = new OtherServices(new NamedEntities(), new Map(), compile)
  const route = (service: Service | null) =>
    ({ workspace: { id: 'w' }, service: service === null ? null : { service } }) as unknown as CompiledRoute
  return { others, route, count: () => compilations }
}

test('an origin is asked as the service of the route, but for where it is', () => {
  const { others, route, count } = bed()
  const found: readonly [origin: string, protocol: string, host: string, port: number][] = [
    ['https://api.model.test', 'https', 'api.model.test', 443],
    ['http://model.test', 'http', 'model.test', 80],
    ['http://127.0.0.1:8080', 'http', '127.0.0.1', 8080],
    ['https://[::1]:8443', 'https', '[::1]', 8443],
  ]
  for (const [origin, protocol, host, port] of found) {
    const { service } = others.find(route(own), 'origin', origin)!
    assert.deepEqual(service, { ...own, protocol, host, port, path: null, proxy_protocol: null })
    assert.equal(others.find(route(own), 'origin', origin)?.service, service)
  }
  assert.equal(count(), found.length)
  assert.deepEqual(
    [...others.hosts()],
    found.map(([, , host, port]) => `${host}:${port}`),
  )
})

test('without a service of the route there is no other', () => {
  const { others, route } = bed()
  assert.equal(others.find(route(null), 'origin', 'https://api.model.test'), null)
  assert.deepEqual([...others.hosts()], [])
})
