import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Figures } from '#telemetry/figures.ts'
import { requirePart } from '../../test/support/parts.ts'
import { standaloneEndpoint, startRedis, type RedisServer } from '../../test/support/redis.ts'
import { waitUntil } from '../../test/support/wait.ts'
import { openRedisConnection, openRedisSubscription } from './redis-connection.ts'
import { RedisLinks } from './redis-links.ts'
import { RedisWake } from './redis-wake.ts'

/** What a node of a data center has, and how often it was woken. */
function startNode(t: TestContext, redis: RedisServer) {
  const endpoint = standaloneEndpoint('wake', { host: redis.host, port: redis.port }, 1000)
  const times = { connectTimeoutMs: 500 }
  const states: boolean[] = []
  const links = new RedisLinks({
    open: openRedisConnection,
    ...times,
    queueSize: 100,
    keyPrefix: 'm:',
    figures: new Figures(),
    onState: (_redis, isUp) => states.push(isUp),
  })
  const node = { wakes: 0, states, wake: null as unknown as RedisWake }
  const { link, release } = links.take(endpoint)
  node.wake = new RedisWake({
    link,
    subscribe: (channel, onMessage) => openRedisSubscription(endpoint, times, channel, onMessage),
    keyPrefix: 'm:',
    wake: () => node.wakes++,
    later: (run, ms) => void setTimeout(run, ms),
  })
  t.after(() => {
    node.wake.close()
    release()
  })
  return node
}

test('what one node writes wakes the others, many revisions once, and itself never', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  const [writer, reader] = [startNode(t, redis), startNode(t, redis)]
  const listening = async () => ((await redis.client.pubsub('NUMSUB', 'm:revision')) as [string, number])[1]
  await waitUntil('both listen', async () => (await listening()) === 2)
  // A link that came up late looks once, because it may have missed something.
  await sleep(100)
  const atFirst = [writer.wakes, reader.wakes] as const
  for (let revision = 1; revision <= 50; revision++) writer.wake.tell(revision)
  await waitUntil('the other one is woken', () => reader.wakes > atFirst[1])
  await sleep(50)
  assert.deepEqual([writer.wakes - atFirst[0], reader.wakes - atFirst[1]], [0, 1])

  await redis.kill()
  writer.wake.tell(51)
  await waitUntil(
    'it is found that Redis is gone',
    () => writer.states.includes(false) && reader.states.includes(false),
  )
  const whileDown = [writer.wakes, reader.wakes] as const
  await redis.start()
  await waitUntil(
    'both look, since they may have missed something',
    () => writer.wakes > whileDown[0] && reader.wakes > whileDown[1],
  )
  await waitUntil('both listen again', async () => (await listening()) === 2)
  const again = reader.wakes
  writer.wake.tell(52)
  await waitUntil('the other one is woken again', () => reader.wakes > again)
})
