import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { SecretCache, type SecretAddress } from './secret-cache.ts'
import type { Followed } from '#model/vault-reference.ts'

const closers: (() => void)[] = []
after(() => {
  for (const close of closers) close()
})

function bed(answers: (resource: string) => Followed | Promise<Followed>) {
  const lines: string[] = []
  const changed: string[][] = []
  const clock = { nowMs: 0 }
  const reads = { count: 0 }
  const fetch = async (_config: object, resource: string) => {
    reads.count++
    return answers(resource)
  }
  const log = (_fields: object, message: string) => void lines.push(message)
  const cache = new SecretCache({
    vaults: new Map([['own', { fetch }]]),
    nowMs: () => clock.nowMs,
    log: { warn: log, info: log },
    onChanged: (keys) => changed.push([...keys]),
  })
  closers.push(() => cache.close())
  /** Until it has been looked for changes once more. */
  const nextReads = async (more: number) => {
    const wanted = reads.count + more
    while (reads.count < wanted) await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { cache, lines, changed, clock, reads, nextReads }
}

const address = (resource: string, config = {}): SecretAddress => ({ kind: 'own', config, resource, version: null })

test('what was read is known, is read once for all who ask, and is told when it becomes another text', async () => {
  let text = 'one'
  const { cache, changed, nextReads, reads, lines } = bed(() => ({ value: text }))
  await cache.read(new Map([['k', address('a')]]))
  await cache.read(new Map([['k', address('a')]]))
  assert.deepEqual([cache.get('k'), cache.get('other'), reads.count], [{ value: 'one' }, null, 1])
  await nextReads(1)
  assert.deepEqual(changed, [])
  text = 'two'
  await nextReads(1)
  assert.deepEqual([changed, cache.get('k'), lines], [[['k']], { value: 'two' }, []])
})

test('a secret that can not be read any more stays, which is said once, as is its return', async () => {
  let answer: Followed = { value: 'one' }
  const { cache, changed, nextReads, lines } = bed(() => answer)
  await cache.read(new Map([['k', address('a')]]))
  answer = { reason: 'down' }
  await nextReads(2)
  assert.deepEqual([cache.get('k'), cache.failing, lines.length, changed], [{ value: 'one' }, 1, 1, []])
  answer = { value: 'one' }
  await nextReads(1)
  assert.deepEqual([cache.failing, lines.length, changed], [0, 2, []])
})

test('after `resurrect_ttl` it is gone, and what could never be read is told when it can', async () => {
  let answer: Followed = { value: 'one' }
  const { cache, changed, clock, nextReads } = bed(() => answer)
  await cache.read(new Map([['k', address('a', { resurrect_ttl: 10 })]]))
  answer = { reason: 'down' }
  clock.nowMs = 9_000
  await nextReads(1)
  assert.deepEqual(cache.get('k'), { value: 'one' })
  clock.nowMs = 21_000
  await nextReads(1)
  assert.deepEqual([cache.get('k'), changed], [{ reason: 'down' }, [['k']]])
  answer = { value: 'back' }
  await nextReads(1)
  assert.deepEqual([cache.get('k'), changed.length], [{ value: 'back' }, 2])
})

test('`ttl` and `neg_ttl` say when it is read again', async () => {
  let answer: Followed = { value: 'one' }
  const { cache, clock, reads, nextReads } = bed(() => answer)
  const config = { ttl: 60, neg_ttl: 5 }
  await cache.read(
    new Map([
      ['k', address('a', config)],
      ['often', address('b')],
    ]),
  )
  await nextReads(2)
  assert.equal(reads.count, 4)
  answer = { reason: 'down' }
  clock.nowMs = 60_000
  await nextReads(2)
  clock.nowMs = 65_000
  await nextReads(2)
  assert.equal(reads.count, 8)
})

test('what nobody refers to any more is forgotten, and an unknown kind of vault has a reason', async () => {
  const { cache } = bed(() => ({ value: 'x' }))
  await cache.read(
    new Map([
      ['k', address('a')],
      ['l', { ...address('a'), kind: 'foreign' }],
    ]),
  )
  assert.match(JSON.stringify(cache.get('l')), /no vault of the kind foreign/)
  cache.keepOnly(new Set(['l']))
  assert.deepEqual([cache.has('k'), cache.has('l')], [false, true])
})

test('a vault that throws is a vault that can not be read', async () => {
  const { cache } = bed(() => {
    throw new Error('the message could have a secret')
  })
  await cache.read(new Map([['k', address('a')]]))
  assert.deepEqual(cache.get('k'), { reason: 'the vault can not be read: Error' })
})
