import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderList } from '#http/header-list.ts'
import { explain } from './explain.ts'
import { createRouter } from './router.ts'
import { requestOf, routeOf } from './testing.ts'

const id = (digit: number): string => `${digit}0000000-0000-4000-8000-000000000000`
const put = [
  routeOf({ id: id(1), name: 'root', paths: ['/'] }),
  routeOf({ id: id(2), name: 'orders', paths: ['/orders', '~/o/(?<id>\\d+)'], methods: ['GET'] }),
  routeOf({
    id: id(3),
    name: 'v2',
    paths: ['/orders'],
    headers: { 'X-Version': ['2'] },
    hosts: ['a.test', '*.b.test:81'],
  }),
  routeOf({ id: id(4), name: 'stream', protocols: ['tcp'], destinations: [{ ip: null, port: 1 }] }),
  routeOf({ id: id(5), name: 'broken', paths: ['~/x(?=y)'] }),
]

test('candidates are told in order, with what of each holds', () => {
  const router = createRouter({ flavor: 'traditional_compatible' }).with({ put, remove: [] })
  const request = requestOf({ host: 'a.test', path: '/orders/1', headers: HeaderList.from([['x_version', '1']]) })
  const explanation = explain(router, request)
  assert.deepEqual(explanation.match, { route: { id: id(2), name: 'orders' }, matched_path: '/orders', captures: null })
  assert.deepEqual(
    explanation.candidates.map(({ route, path, verdict, reason }) => [route.name, path, verdict, reason]),
    [
      ['orders', '/orders', 'wins', 'matches and has the highest priority'],
      ['root', '/', 'outranked', 'matches, but orders goes first by attributes: 2, not 1'],
      ['v2', '/orders', 'fails', 'does not match: headers'],
      ['orders', '~/o/(?<id>\\d+)', 'fails', 'does not match: paths'],
      ['stream', null, 'fails', 'can never match: protocols: expected one of http, https, grpc, grpcs, got tcp'],
      ['broken', null, 'fails', 'can never match: paths[0]: look-around cannot be matched in linear time'],
    ],
  )
  assert.deepEqual(explanation.candidates[2]?.attributes, [
    { attribute: 'hosts', expected: ['a.test', '*.b.test:81'], actual: 'a.test:8000', holds: true },
    { attribute: 'paths', expected: '/orders', actual: '/orders/1', holds: true },
    { attribute: 'headers', expected: { 'X-Version': ['2'] }, actual: ['1'], holds: false },
  ])
  assert.deepEqual([explanation.examined, explanation.is_complete], [5, true])
  assert.deepEqual(JSON.parse(JSON.stringify(explanation)), explanation)
})

test('priorities are told as the numbers that are compared', () => {
  const request = requestOf({ host: 'x.b.test', port: 81, hasHostPort: true, path: '/o/12' })
  const priorities = (flavor: 'traditional_compatible' | 'traditional'): unknown[] =>
    explain(createRouter({ flavor }).with({ put, remove: [] }), request).candidates.map(({ priority }) => priority.rank)
  assert.deepEqual(priorities('traditional_compatible')[0], {
    attributes: 2,
    plain_hosts_only: 0,
    headers: 0,
    regex_path: 1,
    regex_priority: 0,
    kong_priority: '0x4008000000000000',
  })
  assert.deepEqual(priorities('traditional')[0], {
    attributes: 2,
    category: 24,
    submatch: 3,
    headers: 0,
    regex_priority: 0,
  })
})

test('what decided between routes that match is told in words', () => {
  const pair = (
    first: object,
    second: object,
    flavor: 'traditional_compatible' | 'traditional',
  ): string | undefined => {
    const both = [
      routeOf({ id: id(1), name: 'a', paths: ['/a'], ...first }),
      routeOf({ id: id(2), name: 'b', paths: ['/a'], ...second }),
    ]
    const { candidates } = explain(
      createRouter({ flavor }).with({ put: both, remove: [] }),
      requestOf({ path: '/a', query: 'v=1' }),
    )
    assert.equal(candidates[0]?.verdict, 'wins')
    return candidates[1]?.reason
  }
  assert.equal(pair({}, {}, 'traditional_compatible'), 'matches, but b has the greater id')
  assert.equal(pair({ created_at: 1 }, { created_at: 2 }, 'traditional'), 'matches, but a is older')
  assert.equal(pair({ query: { v: ['1'] } }, {}, 'traditional'), 'matches, but a goes first by query_names: 1, not 0')
  assert.equal(
    pair({ paths: ['~/a'] }, { paths: ['~/.'], regex_priority: 3 }, 'traditional_compatible'),
    'matches, but b goes first by regex_priority: 3, not 0',
  )
})

test('the match and the route that was asked for are told whatever the bounds are', () => {
  const many = Array.from({ length: 200 }, (_, i) =>
    routeOf({ id: `${i}`.padStart(8, '0'), name: `r${i}`, paths: [`/r${i}`], hosts: ['a.test'] }),
  )
  const router = createRouter({ flavor: 'traditional_compatible' }).with({ put: many, remove: [] })
  const explanation = explain(router, requestOf({ host: 'a.test', path: '/r150/x' }), {
    limit: 2,
    maxExamined: 10,
    route: 'r7',
  })
  assert.deepEqual(explanation.match?.route.name, 'r150')
  assert.deepEqual([explanation.candidates[0]?.route.name, explanation.candidates[0]?.verdict], ['r150', 'wins'])
  assert.equal(explanation.candidates.length, 3)
  assert.ok(explanation.candidates.some(({ route }) => route.name === 'r7'))
  assert.deepEqual([explanation.examined, explanation.is_complete], [10, false])
})
