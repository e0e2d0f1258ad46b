/** Gateways that limit together over a real Redis, in each of its forms, and what they do without it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlackHole } from '../support/black-hole.ts'
import { makeCertificate } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { ClusterBed, SentinelBed, startRedis, type RedisServer } from '../support/redis.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

interface Limited {
  readonly name: string
  readonly config: object
}

function configuration(upstreamPort: number, redis: object, limited: readonly Limited[]): object {
  return {
    _format_version: '3.0',
    services: [
      {
        name: 's',
        url: `http://127.0.0.1:${upstreamPort}`,
        routes: limited.map(({ name, config }) => ({
          name,
          paths: [`/${name}`],
          plugins: [{ name: 'rate-limiting', config: { policy: 'redis', limit_by: 'service', redis, ...config } }],
        })),
      },
    ],
  }
}

interface Answer {
  readonly status: number
  readonly ms: number
  readonly remaining: number
}

async function ask(gateway: Gateway, name: string): Promise<Answer> {
  const beganMs = performance.now()
  const response = await fetch(`${gateway.proxyUrl}/${name}`, { signal: AbortSignal.timeout(20_000) })
  await response.arrayBuffer()
  const ms = performance.now() - beganMs
  return { status: response.status, ms, remaining: Number(response.headers.get('ratelimit-remaining')) }
}

/** So many requests, spread over the gateways, eight at a time. */
async function flood(gateways: readonly Gateway[], name: string, count: number): Promise<Answer[]> {
  const answers: Answer[] = []
  let left = count
  const one = async () => {
    while (left-- > 0) answers.push(await ask(gateways[left % gateways.length]!, name))
  }
  await Promise.all(Array.from({ length: 8 }, one))
  return answers
}

const admitted = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200).length

async function metric(gateway: Gateway, name: string): Promise<number | null> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  const line = page.split('\n').find((each) => each.startsWith(`${name}{`) || each.startsWith(`${name} `))
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1))
}

async function start(
  t: TestContext,
  redis: object,
  limited: readonly Limited[],
  settings: Readonly<Record<string, string>> = {},
  nodes = 2,
): Promise<{ gateways: readonly Gateway[] }> {
  const upstream = await startUpstream()
  t.after(() => upstream[Symbol.asyncDispose]())
  const declarative = configuration(upstream.port, redis, limited)
  const one = () => startGateway({ declarative, workers: 2, settings: { ...PATIENT, ...settings } })
  const gateways = await Promise.all(Array.from({ length: nodes }, one))
  t.after(() => Promise.all(gateways.map((gateway) => gateway.stop())))
  return { gateways }
}

/** This machine may be busy: what is tested is not how soon a worker or Redis answers. */
const PATIENT = { overload_delay: '0', worker_silence_timeout: '30', redis_command_timeout: '1s' }

const YEAR = 366 * 86_400_000

test('two gateways over one Redis', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  const port = await freePort()
  await using relay = await BlackHole.start({ host: '127.0.0.1', port }, redis)
  const { gateways } = await start(
    t,
    { host: '127.0.0.1', port },
    [
      { name: 'strict', config: { hour: 50, year: 1000 } },
      { name: 'months', config: { month: 3 } },
      { name: 'alone', config: { year: 40 } },
      { name: 'closed', config: { year: 40, fault_tolerant: false } },
      { name: 'synced', config: { year: 100, sync_rate: 0.1 } },
      { name: 'lost', config: { year: 30 } },
      { name: 'fresh', config: { year: 30 } },
    ],
    { redis_nodes: '2' },
  )
  const [first, second] = gateways as [Gateway, Gateway]

  await t.test('admit exactly the limit together, whichever worker is asked', async () => {
    assert.equal(admitted(await flood(gateways, 'strict', 120)), 50)
    assert.equal(admitted(await flood(gateways, 'months', 10)), 3)
    const lives = await Promise.all((await redis.client.keys('*')).map((key) => redis.client.pttl(key)))
    assert.ok(
      lives.every((life) => life > 0 && life < YEAR + 10_000),
      String(lives),
    )
  })

  await t.test('decide by memory with a sync_rate, and know of each other soon', async () => {
    assert.equal(admitted(await flood([first], 'synced', 60)), 60)
    await ask(second, 'synced')
    await waitUntil('the second one has read what the first one counted', async () => {
      const { remaining } = await ask(second, 'synced')
      return remaining < 40
    })
    await sleep(500)
    const rest = admitted(await flood(gateways, 'synced', 100))
    t.diagnostic(`of 100, ${rest} were admitted after the first ones`)
    assert.equal(admitted(await flood(gateways, 'synced', 20)), 0)
  })

  await t.test('what Redis has lost it learns again', async () => {
    assert.equal(admitted(await flood(gateways, 'lost', 20)), 20)
    await redis.restartEmpty()
    await waitUntil('both reach it again', async () => {
      const states = await Promise.all(gateways.map((gateway) => metric(gateway, 'meridian_redis_up')))
      return states.every((state) => state === 1)
    })
    assert.equal(admitted(await flood(gateways, 'lost', 60)), 10)
  })

  await t.test('without Redis nobody waits, and each limits by its share', async () => {
    relay.block()
    const asked = await Promise.all(gateways.map((gateway) => flood([gateway], 'alone', 60)))
    assert.deepEqual(asked.map(admitted), [20, 20])
    const slowest = Math.max(...asked.flat().map(({ ms }) => ms))
    t.diagnostic(`the slowest request took ${Math.round(slowest)} ms`)
    assert.deepEqual(
      (await flood([first], 'closed', 3)).map(({ status }) => status),
      [500, 500, 500],
    )
    assert.equal(await metric(first, 'meridian_redis_up'), 0)
    const status = (await (await fetch(`${first.statusUrl}/status`)).json()) as { meridian: { degraded: string[] } }
    assert.deepEqual(status.meridian.degraded, [`redis 127.0.0.1:${port}/0`])
    assert.equal(first.child.output.split('Redis does not answer, what').length - 1, 2, 'once for each outage')
    relay.heal()
    const healedMs = performance.now()
    await waitUntil('Redis decides again', async () => (await ask(first, 'closed')).status === 200)
    t.diagnostic(`after ${Math.round(performance.now() - healedMs)} ms Redis was found again`)
    await waitUntil('both reach it', async () => (await metric(second, 'meridian_redis_up')) === 1)
    // Redis was told what was admitted alone.
    await waitUntil('both are refused', async () => {
      const answers = await Promise.all(gateways.map((gateway) => ask(gateway, 'alone')))
      return answers.every(({ status }) => status === 429)
    })
    assert.equal(admitted(await flood(gateways, 'alone', 60)), 0)
  })

  await t.test('a Redis that is full refuses nobody', async () => {
    await redis.client.config('SET', 'maxmemory', '1')
    assert.equal((await ask(second, 'closed')).status, 500)
    assert.equal((await ask(second, 'fresh')).status, 200)
    await redis.client.config('SET', 'maxmemory', '0')
    await waitUntil('Redis decides again', async () => (await ask(second, 'closed')).status === 200)
  })

  assert.deepEqual(await redis.keysForGood(), [])
})

test('over TLS, as a user who may do no more than is needed', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  const authority = await makeCertificate(['authority'], { isAuthority: true })
  const own = await makeCertificate(['redis.test'], { issuer: authority })
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-redis-ca-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(path.join(folder, 'ca.pem'), authority.cert)
  const rights = '~meridian:* resetchannels -@all +evalsha +eval +set +hget +hgetall +hset +hvals +pexpire +ping'
  await using redis = await startRedis(program, {
    tls: { ...own, ca: authority.cert },
    password: 'of-the-test',
    lines: ['requirepass of-the-test', `user gateway on >s3cret ${rights}`],
  })
  const tls = { host: '127.0.0.1', port: redis.port, ssl: true, ssl_verify: true, username: 'gateway' }
  const { gateways } = await start(
    t,
    { ...tls, server_name: 'redis.test', password: 's3cret' },
    [
      { name: 'good', config: { year: 5, fault_tolerant: false } },
      { name: 'profile', config: { year: 5, fault_tolerant: false, redis: { host: 'limits' } } },
      {
        name: 'wrong-name',
        config: {
          year: 5,
          fault_tolerant: false,
          redis: { ...tls, server_name: 'other.test', password: 's3cret' },
        },
      },
      {
        name: 'wrong-password',
        config: { year: 5, fault_tolerant: false, redis: { ...tls, server_name: 'redis.test', password: 'x' } },
      },
    ],
    {
      lua_ssl_trusted_certificate: path.join(folder, 'ca.pem'),
      redis_profiles: `limits=rediss://gateway:s3cret@127.0.0.1:${redis.port}?server_name=redis.test`,
    },
    1,
  )
  for (const name of ['good', 'profile']) assert.equal(admitted(await flood(gateways, name, 8)), 5, name)
  for (const name of ['wrong-name', 'wrong-password'])
    assert.ok((await flood(gateways, name, 2)).every(({ status }) => status === 500))
  const shown = await (await fetch(`${gateways[0]!.adminUrl}/`)).text()
  assert.ok(!shown.includes('s3cret') && !gateways[0]!.child.output.includes('s3cret'), 'nobody sees the password')
})

/** Asks all the time, while something happens; the slowest answer counts. */
async function whileAsking(gateway: Gateway, name: string, happens: () => Promise<void>): Promise<Answer[]> {
  const answers: Answer[] = []
  const over = new AbortController()
  const asking = (async () => {
    while (!over.signal.aborted) {
      answers.push(await ask(gateway, name))
      await sleep(10)
    }
  })()
  try {
    await happens()
  } finally {
    over.abort()
    await asking
  }
  return answers
}

test('a fail-over by Sentinel', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using bed = await SentinelBed.start(program)
  const places = bed.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
  const { gateways } = await start(
    t,
    { host: 'limits' },
    [
      { name: 'open', config: { year: 100_000 } },
      { name: 'few', config: { year: 30 } },
      { name: 'closed', config: { year: 100_000, fault_tolerant: false } },
    ],
    { redis_profiles: `limits=redis+sentinel://${places}/0?master=${bed.name}` },
    1,
  )
  const [gateway] = gateways as [Gateway]
  assert.equal(admitted(await flood(gateways, 'few', 20)), 20)
  const master: RedisServer = await bed.master()
  const answers = await whileAsking(gateway, 'open', async () => {
    await master.kill()
    await waitUntil('another master', async () => (await bed.master()) !== master)
    // Each worker has a connection of its own; while one has none, it may admit what the other lets Redis admit, too.
    await waitUntil(
      'every worker decides in Redis again',
      async () => admitted(await flood(gateways, 'closed', 16)) === 16,
    )
  })
  assert.equal(admitted(answers), answers.length, 'nobody was refused')
  t.diagnostic(
    `the slowest of ${answers.length} requests took ${Math.round(Math.max(...answers.map(({ ms }) => ms)))} ms`,
  )
  assert.equal(admitted(await flood(gateways, 'few', 40)), 10, 'what the new master lacks it learned again')
})

test('a Cluster that loses a master goes on with the others', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using bed = await ClusterBed.start(program)
  const names = Array.from({ length: 12 }, (_, i) => `r${i}`)
  const { gateways } = await start(
    t,
    { host: 'limits' },
    names.map((name) => ({ name, config: { hour: 500, year: 1000, fault_tolerant: false } })),
    { redis_profiles: `limits=redis+cluster://127.0.0.1:${bed.servers[0]!.port}` },
    1,
  )
  const [gateway] = gateways as [Gateway]
  const statuses = async () => await Promise.all(names.map(async (name) => (await ask(gateway, name)).status))
  // Each master is connected to when it is first needed, which may take longer than a command.
  await waitUntil('all are decided', async () => (await statuses()).every((status) => status === 200))
  const sizes = await Promise.all(bed.servers.map(({ client }) => client.dbsize()))
  assert.ok(
    sizes.every((size) => size > 0),
    String(sizes),
  )
  await bed.servers[2]!.kill()
  await sleep(1500)
  const without = await statuses()
  const lost = without.filter((status) => status === 500).length
  t.diagnostic(`${lost} of ${names.length} limits were on the lost master`)
  assert.equal(lost, sizes[2]! / 2, 'only what is on the lost master fails')
  await bed.servers[2]!.start()
  await waitUntil('all are decided again', async () => (await statuses()).every((status) => status === 200))
})
