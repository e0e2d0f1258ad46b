import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Endpoint } from './endpoint.ts'
import { createRoutingTable, isParameter, segmentsOf, splitPath } from './routing-table.ts'

const paths = [
  '/',
  '/services',
  '/services/{services}',
  '/services/{services}/routes',
  '/services/{services}/routes/{routes}',
  '/upstreams/{upstreams}/targets/all',
  '/upstreams/{upstreams}/targets/{targets}',
  '/upstreams/{upstreams}/targets/{targets}/healthy',
  '/upstreams/{upstreams}/{other}/x',
]
const endpoints: Endpoint[] = paths.map((path) => ({ path, methods: {} }))
const table = createRoutingTable(endpoints)

function found(path: string): unknown {
  const segments = splitPath(path)
  const match = segments === null ? null : table.match(segments)
  return match === null ? null : [match.endpoint.path, match.parameters]
}

test('a literal wins over a parameter, and the parameter is tried when the literal leads nowhere', () => {
  assert.deepEqual(found('/upstreams/u/targets/all'), ['/upstreams/{upstreams}/targets/all', { upstreams: 'u' }])
  assert.deepEqual(found('/upstreams/u/targets/a:1'), [
    '/upstreams/{upstreams}/targets/{targets}',
    { upstreams: 'u', targets: 'a:1' },
  ])
  assert.deepEqual(found('/upstreams/u/targets/all/healthy'), [
    '/upstreams/{upstreams}/targets/{targets}/healthy',
    { upstreams: 'u', targets: 'all' },
  ])
  assert.deepEqual(found('/upstreams/u/targets/x'), [
    '/upstreams/{upstreams}/targets/{targets}',
    { upstreams: 'u', targets: 'x' },
  ])
})

test('a slash at the end is ignored, empty segments lead nowhere, case matters', () => {
  assert.deepEqual(found('/services/'), ['/services', {}])
  assert.deepEqual(found('/'), ['/', {}])
  for (const path of [
    '//services',
    '/services//',
    '/Services',
    '/services/a/nope',
    '/services/a/routes/b/c',
    'services',
    '',
  ])
    assert.equal(found(path), null, path)
})

test('two endpoints of one path are a mistake that is found at the start', () => {
  assert.throws(() => createRoutingTable([...endpoints, { path: '/services/{other}', methods: {} }]), /two endpoints/)
})

test('finds what a search through all patterns finds', () => {
  const segment = fc.constantFrom('services', 'upstreams', 'targets', 'routes', 'all', 'healthy', 'x', 'a')
  const fits = (pattern: readonly string[], path: readonly string[]) =>
    pattern.length === path.length && pattern.every((part, i) => isParameter(part) || part === path[i])
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 5 }), (path) => {
      const fitting = paths.filter((pattern) => fits(segmentsOf(pattern), path))
      const match = table.match(path)
      assert.equal(match === null, fitting.length === 0)
      if (match !== null) assert.ok(fitting.includes(match.endpoint.path))
    }),
  )
})
