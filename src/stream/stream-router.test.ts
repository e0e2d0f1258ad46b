import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Route } from '#model/entities/route.ts'
import { createStreamRouter, type StreamFacts } from './stream-router.ts'

let made = 0
function routeOf(name: string, more: object): Route {
  const id = `00000000-0000-4000-8000-${String(++made).padStart(12, '0')}`
  return { id, name, protocols: ['tcp'], sources: null, destinations: null, snis: null, ...more } as unknown as Route
}

const FACTS: StreamFacts = {
  protocol: 'tcp',
  serverName: null,
  sourceIp: '10.0.0.7',
  sourcePort: 4000,
  destinationIp: '127.0.0.1',
  destinationPort: 9000,
}
const matched = (routes: Route[], facts: Partial<StreamFacts> = {}) =>
  createStreamRouter(routes).match({ ...FACTS, ...facts })?.name ?? null

test('every attribute that is set has to hold, one of its values each', () => {
  const routes = [
    routeOf('r', {
      sources: [{ ip: '10.0.0.0/8' }, { ip: '2001:db8::/32' }],
      destinations: [{ port: 9000 }, { ip: '127.0.0.2', port: 9001 }],
    }),
  ]
  assert.equal(matched(routes), 'r')
  assert.equal(matched(routes, { sourceIp: '2001:db8::1' }), 'r')
  assert.equal(matched(routes, { sourceIp: '11.0.0.1' }), null)
  assert.equal(matched(routes, { destinationPort: 9001 }), null)
  assert.equal(matched(routes, { destinationIp: '127.0.0.2', destinationPort: 9001 }), 'r')
  assert.equal(matched(routes, { protocol: 'udp' }), null)
})

test('names are asked for where there can be one: exact, and wildcards at either end', () => {
  const routes = [
    routeOf('exact', { protocols: ['tls'], snis: ['a.example'] }),
    routeOf('left', { protocols: ['tls'], snis: ['*.example'] }),
    routeOf('right', { protocols: ['tls'], snis: ['b.*'] }),
    routeOf('through', { protocols: ['tls_passthrough'], snis: ['c.example'] }),
    routeOf('both', { protocols: ['tcp', 'tls'], snis: ['d.test'], destinations: [{ port: 9 }] }),
  ]
  const tls = (serverName: string | null, protocol: 'tls' | 'tls_passthrough' = 'tls') =>
    matched(routes, { serverName, protocol })
  assert.equal(matched([routes[0]!], { serverName: 'a.example', protocol: 'tls' }), 'exact')
  assert.equal(tls('x.y.example'), 'left')
  assert.equal(tls('b.anything'), 'right')
  assert.equal(tls('other'), null)
  assert.equal(tls(null), null)
  assert.equal(tls('c.example', 'tls_passthrough'), 'through')
  assert.equal(matched(routes, { destinationPort: 9 }), 'both')
  assert.equal(createStreamRouter(routes).hasPassthrough, true)
  assert.equal(createStreamRouter(routes.slice(0, 3)).hasPassthrough, false)
})

test("Kong's order: source and destination together, then exact addresses, ports, networks; then the greater id", () => {
  const network = routeOf('network', { sources: [{ ip: '10.0.0.0/8' }] })
  const port = routeOf('port', { sources: [{ port: 4000 }] })
  const address = routeOf('address', { sources: [{ ip: '10.0.0.7' }] })
  const destination = routeOf('destination', { destinations: [{ ip: '127.0.0.1', port: 9000 }] })
  const both = routeOf('both', { sources: [{ ip: '10.0.0.0/8' }], destinations: [{ port: 9000 }] })
  const later = routeOf('later', { sources: [{ ip: '10.0.0.0/8' }] })
  const order: (string | null)[] = []
  const routes = [network, port, address, destination, both, later]
  while (routes.length > 0) {
    const name = matched(routes)
    order.push(name)
    routes.splice(
      routes.findIndex((route) => route.name === name),
      1,
    )
  }
  assert.deepEqual(order, ['both', 'address', 'port', 'later', 'network', 'destination'])
})

test('routes of HTTP are none of its business', () => {
  assert.equal(createStreamRouter([routeOf('http', { protocols: ['http'] })]).size, 0)
})
