import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Balancer } from './contract.ts'
import { createDirectBalancer } from './direct.ts'
import { FakeResolver, countPicks, found, foundSrv, missing, pickNow, refusalOf, seededRandom } from './testing.ts'

function direct(
  host: string,
  port: number,
  resolver = new FakeResolver(),
): { balancer: Balancer; resolver: FakeResolver; clock: { now: number } } {
  const clock = { now: 1000 }
  const balancer = createDirectBalancer({ host, port, resolver, random: seededRandom(1), nowMs: () => clock.now })
  return { balancer, resolver, clock }
}

test('an address is itself, IPv6 with or without brackets', () => {
  assert.partialDeepStrictEqual(pickNow(direct('10.0.0.1', 8080).balancer), {
    ip: '10.0.0.1',
    port: 8080,
    hostname: '10.0.0.1',
  })
  assert.partialDeepStrictEqual(pickNow(direct('[fd00::1]', 80).balancer), { ip: 'fd00::1', hostname: '[fd00::1]' })
  assert.partialDeepStrictEqual(pickNow(direct('fd00::1', 80).balancer), { ip: 'fd00::1', hostname: '[fd00::1]' })
})

test('the addresses of a name take turns under its name', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1', '10.0.0.2']))
  const { balancer } = direct('web.test', 80, resolver)
  assert.deepEqual(countPicks(balancer, 10), { '10.0.0.1:80': 5, '10.0.0.2:80': 5 })
  assert.equal(pickNow(balancer).hostname, 'web.test')
})

test('SRV records decide weight and port', () => {
  const resolver = new FakeResolver()
  resolver.answers.set(
    'svc.test',
    foundSrv([
      { ip: '10.0.0.1', port: 9001, weight: 3 },
      { ip: '10.0.0.2', weight: 1 },
    ]),
  )
  assert.deepEqual(countPicks(direct('svc.test', 80, resolver).balancer, 8), { '10.0.0.1:9001': 6, '10.0.0.2:80': 2 })
})

test('a retry goes to another address', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1', '10.0.0.2']))
  const { balancer } = direct('web.test', 80, resolver)
  const first = pickNow(balancer)
  assert.notEqual(pickNow(balancer, null, [first]), first)
})

test('the first pick waits for the name, later ones do not', async () => {
  const { balancer, resolver } = direct('web.test', 80)
  const picks = [balancer.pick(null, []), balancer.pick(null, [])]
  resolver.settle('web.test', found(['10.0.0.1']))
  for (const pick of picks) assert.partialDeepStrictEqual(await pick, { ok: true, target: { ip: '10.0.0.1' } })
  assert.equal(resolver.asked.length, 1)
  assert.equal(pickNow(balancer).ip, '10.0.0.1')
})

test('a name that can not be resolved is told by what the name servers said', async () => {
  const { balancer, resolver } = direct('web.test', 80)
  const pick = balancer.pick(null, [])
  resolver.settle('web.test', missing())
  assert.equal(refusalOf(await pick), 'name_error: dns server error: 3 name error')
  assert.equal(refusalOf(balancer.pick(null, [])), 'name_error: dns server error: 3 name error')
})

test('a failed name is asked for again when its failure has expired', async () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', missing('dns server error: 3 name error', 2000))
  const { balancer, clock } = direct('web.test', 80, resolver)
  assert.match(refusalOf(balancer.pick(null, [])), /^name_error/)
  resolver.answers.delete('web.test')
  clock.now = 2000
  const pick = balancer.pick(null, [])
  resolver.settle('web.test', found(['10.0.0.1']))
  assert.partialDeepStrictEqual(await pick, { ok: true, target: { ip: '10.0.0.1' } })
})

test('a resolver that breaks is a failed resolution', async () => {
  const resolver = new FakeResolver()
  resolver.resolve = () => Promise.reject(new Error('broken'))
  const { balancer } = direct('web.test', 80, resolver)
  assert.equal(refusalOf(await balancer.pick(null, [])), 'resolve_failed: Error: broken')
})

test('closing ends what waits', async () => {
  const { balancer } = direct('web.test', 80)
  const pick = balancer.pick(null, [])
  balancer.close()
  assert.equal(refusalOf(await pick), 'resolve_failed: closed')
})
