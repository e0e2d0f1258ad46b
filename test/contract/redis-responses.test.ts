/** Stored responses that nodes share, over a real Redis: each `Node` here is what a worker of a gateway has. */
import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPurgeLogBuffer, PurgeLog, logPlace } from '#cluster/purge-log.ts'
import { openRedisLazily, subscribeLazily } from '#cluster/redis-lazy.ts'
import type { RedisEndpoint } from '#cluster/redis-endpoint.ts'
import { RedisLinks } from '#cluster/redis-links.ts'
import { peekInRedis } from '#cluster/redis-response-peek.ts'
import { RedisResponseStores } from '#cluster/redis-response-stores.ts'
import type { RedisResponses } from '#cluster/redis-responses.ts'
import { createResponseCacheBuffers, ResponseCache } from '#cluster/response-cache.ts'
import { EVERYTHING, keyName, prefixName } from '#model/cache-names.ts'
import { Figures } from '#telemetry/figures.ts'
import { BlackHole } from '../support/black-hole.ts'
import { freePort } from '../support/free-port.ts'
import { requirePart } from '../support/parts.ts'
import { ClusterBed, standaloneEndpoint, startRedis, type RedisServer } from '../support/redis.ts'
import { waitUntil } from '../support/wait.ts'

const TIMEOUT_MS = 300
const PREFIX = 'test:'
const CLAIM = { claims: true, wantsStale: true }
const LOOK = { claims: false, wantsStale: true }

let redis: RedisServer | null = null
before(async () => {
  const program = await requirePart({ skip: () => undefined } as unknown as TestContext, 'redis')
  if (program !== null) redis = await startRedis(program)
})
after(() => redis?.[Symbol.asyncDispose]())

class Node {
  readonly near = new ResponseCache<string>({
    buffers: createResponseCacheBuffers(1 << 20),
    decode: String,
    nearBytes: 1 << 16,
  })
  readonly log = new PurgeLog(createPurgeLogBuffer())
  readonly shared: RedisResponses<string>
  readonly #links: RedisLinks
  readonly #endpoint: RedisEndpoint
  #isOpen = true
  /** As the main thread looks. */
  async peek(text: string): Promise<string | null> {
    const { link, release } = this.#links.take(this.#endpoint)
    const bytes = await peekInRedis(link, PREFIX, this.log, this.near.keyOf(text))
    release()
    return bytes === null ? null : String(bytes)
  }

  constructor(to: number | RedisEndpoint) {
    const times = { connectTimeoutMs: 1000 }
    this.#links = new RedisLinks({
      ...times,
      open: openRedisLazily,
      queueSize: 1000,
      keyPrefix: PREFIX,
      figures: new Figures(),
      onState: () => undefined,
    })
    this.#endpoint = typeof to === 'number' ? standaloneEndpoint('r', { host: '127.0.0.1', port: to }, TIMEOUT_MS) : to
    this.shared = new RedisResponseStores<string>({
      take: () => this.#links.take(this.#endpoint),
      near: this.near,
      decode: String,
      log: this.log,
      subscribe: (to, ...rest) => subscribeLazily(to, times, ...rest),
      keyPrefix: PREFIX,
    }).open({} as never)
  }

  async ready(): Promise<this> {
    await waitUntil('the node knows what was purged', async () => (await this.shared.find('-', LOOK)) !== null)
    return this
  }

  store(text: string, value: string, names: readonly string[] = [], claim = '', freshForMs = 60_000): void {
    const { moment } = this.shared
    const freshUntilMs = Date.now() + freshForMs
    this.shared.store(text, Buffer.from(value), ['shared', ...names], {
      freshUntilMs,
      expiresAtMs: freshUntilMs + 60_000,
      moment,
      claim,
    })
  }

  async find(text: string, question = LOOK) {
    return await this.shared.find(text, question)
  }

  async value(text: string): Promise<string | null> {
    return (await this.find(text))?.value ?? null
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.shared.close()
    this.#links.close()
  }
}

/** Empty, with two nodes on it. */
async function bed(t: TestContext): Promise<{ one: Node; other: Node; server: RedisServer } | null> {
  const server = redis
  if (server === null) {
    t.skip('there is no redis-server')
    return null
  }
  await server.client.flushall()
  const nodes = [new Node(server.port), new Node(server.port)] as const
  t.after(() => nodes.forEach((node) => node[Symbol.dispose]()))
  const [one, other] = await Promise.all(nodes.map((node) => node.ready()))
  return { one: one!, other: other!, server }
}

test('what one node stores the others find, and have in their own memory then', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other, server } = nodes
  assert.deepEqual(await other.find('a'), { state: 'none', value: null, claim: '' })
  one.store('a', 'value')
  await waitUntil('the other node finds it', async () => (await other.value('a')) === 'value')
  assert.equal(other.near.find('a'), 'value')
  assert.equal(await other.peek('a'), 'value')
  assert.deepEqual(await server.keysForGood(), [])
})

test('a thread that is busy for longer than a command may take does not take its own silence for that of Redis', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one } = nodes
  const found = one.find('a')
  for (const until = performance.now() + TIMEOUT_MS + 50; performance.now() < until;);
  assert.deepEqual(await found, { state: 'none', value: null, claim: '' })
})

test('one of all fetches; the others are told so, until it is stored, given up, or known to be no use', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other } = nodes
  const mine = await one.find('a', CLAIM)
  assert.equal(mine?.state, 'mine')
  assert.equal((await other.find('a', CLAIM))?.state, 'taken')
  one.store('a', 'value', [], mine?.claim)
  await waitUntil('it is stored', async () => (await other.find('a', CLAIM))?.state === 'fresh')

  const failed = await one.find('b', CLAIM)
  one.shared.endClaim('b', failed!.claim, 0)
  await waitUntil('the other may try', async () => (await other.find('b', CLAIM))?.state === 'mine')

  const useless = await one.find('c', CLAIM)
  one.shared.endClaim('c', useless!.claim, 10_000)
  await waitUntil('nobody is to wait', async () => (await other.find('c', CLAIM))?.state === 'pass')
})

test('a claim lives as long as who has it, and not longer', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other, server } = nodes
  await one.find('a', CLAIM)
  const [key] = await server.client.keys('*:fetch')
  await server.client.pexpire(key!, 1500)
  await waitUntil('the claim is kept', async () => (await server.client.pttl(key!)) > 2000)
  one[Symbol.dispose]()
  await server.client.pexpire(key!, 50)
  await waitUntil('another node takes over', async () => (await other.find('a', CLAIM))?.state === 'mine')
})

test('what is stale is given to who fetches, and to who asks for it', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other } = nodes
  one.store('a', 'old', [], '', -1000)
  await waitUntil('it is stored', async () => (await other.value('a')) === 'old')
  assert.equal((await other.find('a'))?.state, 'none')
  assert.deepEqual({ ...(await other.find('a', CLAIM)), claim: '' }, { state: 'mine', value: 'old', claim: '' })
})

test('a purge reaches the memory of every node and what Redis has, by each of its names', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other, server } = nodes
  const address = 'address:http://shop.test:80/a/b?c=1'
  const names = [
    'tag:x',
    address,
    prefixName(null, '/a'),
    prefixName('Shop.test', '/a/b'),
    prefixName(null, '/'),
    keyName(one.near.keyOf('a')),
    EVERYTHING,
  ]
  for (const name of names) {
    one.store('a', name, ['tag:x', address, keyName(one.near.keyOf('a'))])
    one.store('b', 'stays', ['tag:y'])
    await waitUntil(`it is stored again after ${name}`, async () => (await other.value('a')) === name)
    await waitUntil('the other, too', async () => (await other.value('b')) === 'stays')
    one.shared.purge(name)
    // At once where it was said, and soon elsewhere.
    assert.equal(await one.value('a'), null, name)
    await waitUntil(`${name} is heard`, () => other.near.find('a') === null)
    assert.equal(await other.value('a'), null, name)
    assert.equal(await other.peek('a'), null, name)
    if (name !== EVERYTHING) assert.equal(other.near.find('b'), 'stays', name)
  }
  assert.deepEqual(await server.keysForGood(), [])
})

test('what was asked for before a purge is not found after it, whoever stores it', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other } = nodes
  const { moment } = one.shared
  other.shared.purge('tag:x')
  const until = Date.now() + 60_000
  const options = { freshUntilMs: until, expiresAtMs: until, moment, claim: '' }
  one.shared.store('a', Buffer.from('old'), ['tag:x'], options)
  one.shared.store('b', Buffer.from('good'), ['tag:y'], options)
  await waitUntil('the second is stored', async () => (await other.value('b')) === 'good')
  assert.equal(await other.value('a'), null)
  const late = await new Node(redis!.port).ready()
  t.after(() => late[Symbol.dispose]())
  assert.equal(await late.value('a'), null)
  assert.equal(await late.value('b'), 'good')
})

test("what the configuration's log purged is not found, also by a node that hears of it later", async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other } = nodes
  one.log.note(logPlace('tag:y'), 7)
  one.store('a', 'value', ['tag:x'])
  await waitUntil('it is stored', async () => (await other.value('a')) === 'value')
  other.log.note(logPlace('tag:y'), 7)
  other.log.note(logPlace('tag:x'), 8)
  assert.equal(await other.value('a'), null)
  assert.equal(one.near.find('a'), null, 'this node never had it in its own memory')
  // Who has not heard of it yet finds that somebody else has dropped it.
  assert.equal(await one.value('a'), null)
  one.log.begin(2)
  assert.equal(one.log.now, 0)
})

test('a node that missed purges while its connection was gone keeps nothing of what it shares', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, server } = nodes
  const port = await freePort()
  await using relay = await BlackHole.start({ host: '127.0.0.1', port }, server)
  const cut = await new Node(port).ready()
  t.after(() => cut[Symbol.dispose]())
  one.store('a', 'value', ['tag:x'])
  await waitUntil('it is stored', async () => (await cut.value('a')) === 'value')
  cut.near.store('own', Buffer.from('own'), [], cut.near.generation, Date.now() + 60_000)
  relay.block()
  one.shared.purge('tag:x')
  assert.equal(await cut.find('a', CLAIM), null, 'no answer, and no error')
  await waitUntil('Redis is known not to answer', () => cut.shared.find('a', CLAIM) === null)
  assert.equal(cut.near.find('a'), 'value', 'it serves what it has')
  relay.heal()
  await waitUntil('it finds out', () => cut.near.find('a') === null)
  assert.equal(cut.near.find('own'), 'own')
  assert.equal(await cut.value('a'), null)
})

test('a Redis that comes back empty, or that somebody else writes to, is a cold one', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other, server } = nodes
  one.store('a', 'value')
  await waitUntil('it is stored', async () => (await other.value('a')) === 'value')
  const [key = ''] = (await server.client.keys('*cache:*')).filter((name) => name.endsWith('}'))
  await server.client.hset(key, 'v', 'not ours')
  assert.equal(await other.find('a'), null)
  await server.client.flushall()
  one.shared.purge('tag:z')
  await waitUntil('what nodes had of it is gone', () => other.near.find('a') === null)
  one.store('a', 'again')
  await waitUntil('it is stored again', async () => (await other.value('a')) === 'again')
})

test('what is too large, or over, is not kept, and lets others fetch', async (t) => {
  const nodes = await bed(t)
  if (nodes === null) return
  const { one, other } = nodes
  const mine = await one.find('a', CLAIM)
  one.store('a', 'x'.repeat(one.shared.largestBytes + 1), [], mine!.claim)
  await waitUntil('another may fetch', async () => (await other.find('a', CLAIM))?.state === 'mine')
  await sleep(1)
  assert.equal(await other.value('a'), null)
})

test('in a Redis Cluster the same holds, wherever a response lies', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using cluster = await ClusterBed.start(program)
  const first = standaloneEndpoint('c', cluster.servers[0]!, 1000)
  const endpoint: RedisEndpoint = { ...first, kind: 'cluster', addresses: cluster.servers }
  using one = new Node(endpoint)
  using other = new Node(endpoint)
  await Promise.all([one.ready(), other.ready()])
  const texts = Array.from({ length: 20 }, (_, n) => `text ${n}`)
  for (const text of texts) {
    const mine = await one.find(text, CLAIM)
    assert.equal(mine?.state, 'mine')
    assert.equal((await other.find(text, CLAIM))?.state, 'taken')
    one.store(text, text, ['tag:x'], mine?.claim)
  }
  for (const text of texts) await waitUntil('it is stored', async () => (await other.value(text)) === text)
  one.shared.purge('tag:x')
  await waitUntil('the purge is heard', () => texts.every((text) => other.near.find(text) === null))
  for (const text of texts) assert.equal(await other.value(text), null)
})
