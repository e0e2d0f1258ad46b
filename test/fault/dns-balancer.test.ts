/** Balancers over real name resolution, while name servers change their mind and die. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDirectBalancer } from '#balancer/direct.ts'
import { createHealthTable } from '#balancer/health-table.ts'
import { aTarget, anUpstream, countPicks, pickNow, seededRandom } from '#balancer/testing.ts'
import { createUpstreamBalancer, type UpstreamBalancer } from '#balancer/upstream-balancer.ts'
import { SERVER_FAILURE, startBed, until, type Bed } from '../support/dns-bed.ts'
import { a, srv, type DnsHandler } from '../support/dns-server.ts'

function chanceOf({ clock }: Bed) {
  return { random: seededRandom(1), nowMs: () => clock.now }
}

function upstreamOn(bed: Bed, targets: readonly string[]): UpstreamBalancer {
  const chance = chanceOf(bed)
  return createUpstreamBalancer({
    upstream: anUpstream(),
    targets: targets.map((target) => aTarget(target)),
    resolver: bed.resolver,
    health: createHealthTable(chance),
    uuid: () => '',
    ...chance,
  })
}

function serving(...ips: readonly string[]): DnsHandler {
  return ({ name, type }) => ({ answers: type === 'A' ? ips.map((ip) => a(name, ip, 10)) : [] })
}

test('targets follow their name, and stay when all name servers die', async (context) => {
  const bed = await startBed(context, serving('10.0.0.1', '10.0.0.2'))
  const balancer = upstreamOn(bed, ['web.test:80'])
  assert.partialDeepStrictEqual(await balancer.pick(null, []), { ok: true, target: { hostname: 'web.test' } })
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.1:80': 2, '10.0.0.2:80': 2 })

  bed.server.handler = serving('10.0.0.2', '10.0.0.3')
  bed.clock.now += 11_000
  await until(() => {
    bed.clock.now += 100
    return pickNow(balancer).ip === '10.0.0.3'
  })
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.2:80': 2, '10.0.0.3:80': 2 })

  bed.server.handler = () => ({ rcode: SERVER_FAILURE })
  for (let minute = 0; minute < 5; minute++) {
    bed.clock.now += 60_000
    assert.deepEqual(countPicks(balancer, 4), { '10.0.0.2:80': 2, '10.0.0.3:80': 2 })
    await until(() => bed.resolver.stats().failures > minute)
  }
})

test('a thousand picks while a name is looked up are one look-up', async (context) => {
  const bed = await startBed(context, serving('10.0.0.1'))
  const balancer = upstreamOn(bed, ['web.test:80'])
  const picks = await Promise.all(Array.from({ length: 1000 }, async () => await balancer.pick(null, [])))
  assert.ok(picks.every((pick) => pick.ok))
  assert.deepEqual(bed.asked(), ['SRV web.test', 'A web.test'])
})

test('a service by a SRV name gets ports and weights of the records', async (context) => {
  const bed = await startBed(context, ({ name, type }) => {
    if (type !== 'SRV') return {}
    return {
      answers: [
        srv(name, { target: 'one.test', port: 9001, weight: 3 }),
        srv(name, { target: 'two.test', port: 9002, weight: 1 }),
      ],
      additionals: [a('one.test', '10.0.0.1'), a('two.test', '10.0.0.2')],
    }
  })
  const balancer = createDirectBalancer({
    host: '_http._tcp.svc.test',
    port: 80,
    resolver: bed.resolver,
    ...chanceOf(bed),
  })
  await balancer.pick(null, [])
  assert.deepEqual(countPicks(balancer, 8), { '10.0.0.1:9001': 6, '10.0.0.2:9002': 2 })
})
