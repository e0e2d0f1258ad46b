import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCertificate } from './certificates.ts'
import { requirePart } from './parts.ts'
import { ClusterBed, SentinelBed, startRedis } from './redis.ts'
import { waitUntil } from './wait.ts'

test('a server comes back empty, and names keys that would stay for good', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  await redis.client.set('stays', '1')
  await redis.client.set('ends', '1', 'PX', 60_000)
  assert.deepEqual(await redis.keysForGood(), ['stays'])
  await redis.restartEmpty()
  assert.equal(await redis.client.dbsize(), 0)
})

test('a server with TLS and a password answers who has both', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  const authority = await makeCertificate(['authority'], { isAuthority: true })
  const own = await makeCertificate(['redis.test'], { issuer: authority })
  await using redis = await startRedis(program, {
    tls: { ...own, ca: authority.cert },
    password: 'secret',
    lines: ['requirepass secret'],
  })
  assert.equal(await redis.client.ping(), 'PONG')
})

test('Sentinels make the replica the master when the master dies', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using bed = await SentinelBed.start(program)
  const first = await bed.master()
  await first.kill()
  await waitUntil('another master', async () => (await bed.master()) !== first)
})

test('three masters share the slots', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using bed = await ClusterBed.start(program)
  const counts = await Promise.all(bed.servers.map(({ client }) => client.call('CLUSTER', 'COUNTKEYSINSLOT', 0)))
  assert.deepEqual(counts, [0, 0, 0])
})
