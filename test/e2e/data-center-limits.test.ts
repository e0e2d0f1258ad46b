/** Gateways in two data centers with a Redis each: limits over both, what is told of them, and how they are reset. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { runMeridian } from '../support/run-meridian.ts'
import { requirePart } from '../support/parts.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const PLUGIN = '7c9e6679-7425-40de-944b-e07fc1f90ae7'
const LEASED = '7c9e6679-7425-40de-944b-e07fc1f90ae8'
const SYNCED = '7c9e6679-7425-40de-944b-e07fc1f90aea'
const OF_KONG = '7c9e6679-7425-40de-944b-e07fc1f90ae9'

function configuration(port: number): object {
  const limited = (name: string, plugin: object) => ({ name, paths: [`/${name}`], plugins: [plugin] })
  const traffic = (id: string, config: object) => ({
    name: 'traffic-limit',
    id,
    config: { limit_by: 'ip', policy: 'redis', ...config },
  })
  return {
    _format_version: '3.0',
    services: [
      {
        name: 's',
        url: `http://127.0.0.1:${port}`,
        routes: [
          limited('counted', traffic(PLUGIN, { limits: [{ limit: 20, window: 'year' }] })),
          limited('leased', traffic(LEASED, { limits: [{ limit: 21, window: 'year' }], consistency: 'leased' })),
          limited('synced', traffic(SYNCED, { limits: [{ limit: 20, window: 'year' }], sync_rate: 0.1 })),
          limited('kong', {
            name: 'rate-limiting',
            id: OF_KONG,
            config: { year: 20, limit_by: 'ip', policy: 'redis', redis: { host: 'limits' } },
          }),
        ],
      },
    ],
  }
}

async function ask(gateway: Gateway, path: string): Promise<Response> {
  const response = await fetch(`${gateway.proxyUrl}/${path}`, { signal: AbortSignal.timeout(20_000) })
  await response.arrayBuffer()
  return response
}

async function admitted(gateway: Gateway, path: string, count: number): Promise<number> {
  let times = 0
  for (let i = 0; i < count; i++) if ((await ask(gateway, path)).status === 200) times++
  return times
}

async function start(t: TestContext, east: RedisServer, west: RedisServer): Promise<readonly [Gateway, Gateway]> {
  const upstream = await startUpstream()
  t.after(() => upstream[Symbol.asyncDispose]())
  const declarative = configuration(upstream.port)
  const at = (name: string, here: RedisServer, there: RedisServer, other: string) =>
    startGateway({
      declarative,
      settings: {
        redis_profiles: `limits=redis://127.0.0.1:${here.port}, far=redis://127.0.0.1:${there.port}`,
        redis_data_centers: `${name}=limits, ${other}=far`,
        redis_local_data_center: name,
        redis_command_timeout: '1s',
        overload_delay: '0',
      },
    })
  const gateways = await Promise.all([at('east', east, west, 'west'), at('west', west, east, 'east')])
  t.after(() => Promise.all(gateways.map((gateway) => gateway.stop())))
  return gateways
}

interface Shown {
  readonly limits: readonly {
    readonly used: number
    readonly remaining: number
    readonly data_centers: readonly { readonly name: string; readonly used: number; readonly share?: number }[]
  }[]
}

async function shown(gateway: Gateway, plugin: string): Promise<Shown['limits'][number]> {
  const response = await fetch(`${gateway.adminUrl}/traffic-limit/${plugin}/127.0.0.1`)
  assert.equal(response.status, 200)
  return ((await response.json()) as Shown).limits[0]!
}

async function metric(gateway: Gateway, name: string): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  const line = page.split('\n').find((each) => each.startsWith(`${name}{`) || each.startsWith(`${name} `)) ?? ''
  return Number(line.slice(line.lastIndexOf(' ') + 1))
}

test('two data centers limit together', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using here = await startRedis(program)
  await using there = await startRedis(program)
  const [east, west] = await start(t, here, there)
  await waitUntil('each exchanges', async () => {
    const leaders = await Promise.all([east, west].map((each) => metric(each, 'meridian_limit_exchange_leader')))
    return leaders.every((leader) => leader === 1)
  })

  for (const path of ['counted', 'synced', 'kong']) {
    await t.test(`what one has counted the other one knows: ${path}`, async () => {
      assert.equal(await admitted(east, path, 12), 12)
      await waitUntil('west has heard of it', async () => {
        const { headers } = await ask(west, path)
        return Number(headers.get('ratelimit-remaining')) < 8
      })
      await admitted(west, path, 20)
      await waitUntil('east has heard of that', async () => (await ask(east, path)).status === 429)
      assert.equal((await ask(west, path)).status, 429)
    })
  }

  await t.test('shares are used up where they are asked for, and never passed', async () => {
    let total = 0
    await waitUntil('all of it is used up in one data center', async () => {
      total += await admitted(east, 'leased', 5)
      return total === 21
    })
    assert.equal(await admitted(west, 'leased', 5), 0)
    const { used, data_centers: both } = await shown(west, LEASED)
    assert.equal(used, 21)
    assert.deepEqual(both, [
      { name: 'east', reachable: true, used: 21, share: 21 },
      { name: 'west', reachable: true, used: 0, share: 0 },
    ])
  })

  await t.test('what was counted is shown over both, and can be reset', async () => {
    const { used, remaining, data_centers: both } = await shown(west, PLUGIN)
    assert.ok(used >= 20 && remaining === 0, JSON.stringify({ used, remaining }))
    assert.equal(
      both.reduce((sum, each) => sum + each.used, 0),
      used,
    )
    await runMeridian(['limit', 'reset', PLUGIN, '127.0.0.1', '--admin', west.adminUrl])
    assert.equal((await shown(east, PLUGIN)).used, 0)
    assert.equal((await ask(east, 'counted')).status, 200)
    assert.equal((await ask(west, 'counted')).status, 200)
    assert.ok((await shown(east, SYNCED)).used >= 20)
    const refused = await fetch(`${east.adminUrl}/traffic-limit/${SYNCED}/127.0.0.1`, { method: 'DELETE' })
    assert.equal(refused.status, 409)
    await runMeridian(['limit', 'show', PLUGIN, '127.0.0.1', '--admin', east.adminUrl])
    const reset = await fetch(`${east.adminUrl}/traffic-limit/${LEASED}/127.0.0.1`, { method: 'DELETE' })
    assert.equal(reset.status, 204)
    assert.equal((await ask(east, 'leased')).status, 200)
    assert.equal((await fetch(`${east.adminUrl}/traffic-limit/${OF_KONG}/127.0.0.1`)).status, 404)
  })

  await t.test('a gateway that is killed leaves no key for good', async () => {
    await Promise.all([admitted(west, 'counted', 5), west.kill()].map((each) => each.then(String, String)))
    assert.deepEqual([...(await here.keysForGood()), ...(await there.keysForGood())], [])
  })
})
