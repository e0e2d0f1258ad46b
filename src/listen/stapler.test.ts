import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Authority, type Responder } from '../../test/support/authority.ts'
import { locatePart, requirePart } from '../../test/support/parts.ts'
import { waitUntil } from '../../test/support/wait.ts'
import { Stapler, type StapleStore } from './stapler.ts'
import { Staples } from './staples.ts'

const MINUTE_MS = 60_000

let root: Authority | null = null
let responder: Responder

before(async () => {
  const openssl = await locatePart('openssl').catch(() => null)
  if (openssl === null) return
  root = await Authority.create(openssl, 'Root')
  responder = await root.startResponder()
})
after(async () => {
  await responder?.close()
  root?.remove()
})

function stapling(store: StapleStore = memoryStore()) {
  const clock = { nowMs: Date.now() }
  const staples = new Staples(() => clock.nowMs)
  const outcomes: string[] = []
  const logged: string[] = []
  const note = (_fields: object, message: string) => void logged.push(message)
  const stapler = new Stapler({
    ask: async (url, body) => {
      const answer = await fetch(url, { method: 'POST', body })
      if (answer.status !== 200) throw new Error(`status ${answer.status}`)
      return Buffer.from(await answer.arrayBuffer())
    },
    store,
    nowMs: () => clock.nowMs,
    random: () => 0.5,
    changed: (some) => staples.take(some),
    answered: (outcome) => outcomes.push(outcome),
    log: { info: note, warn: note, error: note },
  })
  /** One tick at this time after the start, and what was asked in it. */
  const at = async (minutes: number, expected: readonly string[]) => {
    clock.nowMs = startMs + minutes * MINUTE_MS
    const before_ = outcomes.length
    stapler.tick()
    await waitUntil('the answer', () => stapler.asking === 0)
    assert.deepEqual(outcomes.slice(before_), expected, `after ${minutes} minutes`)
  }
  const startMs = clock.nowMs
  return { stapler, staples, outcomes, logged, at, clock }
}

function memoryStore(): StapleStore & { readonly kept: Map<string, Buffer> } {
  const kept = new Map<string, Buffer>()
  return {
    kept,
    read: async (key) => kept.get(key) ?? null,
    write: async (key, answer) => void kept.set(key, answer),
    keepOnly: async (keys) => {
      for (const key of kept.keys()) if (!keys.has(key)) kept.delete(key)
    },
  }
}

async function chain(name: string): Promise<{ pem: string; der: Buffer; pair: { cert: string; key: string } }> {
  const pair = await root!.issue(name, { ocspUrl: responder.url })
  return { pem: pair.cert + root!.certificate, der: new X509Certificate(pair.cert).raw, pair }
}

const needed = (name: string, run: () => Promise<void>) =>
  test(name, async (t) => {
    if (await requirePart(t, 'openssl')) await run()
  })

void needed('an answer is renewed in the middle of its time, and the last one stays until its end', async () => {
  const { pem, der } = await chain('a.test')
  const { stapler, staples, at, logged, clock } = stapling()
  await stapler.set(new Set([pem]))
  assert.equal(staples.find(der), null)
  await at(0, ['good'])
  const first = staples.find(der)
  assert.ok(first !== null)
  assert.equal(stapler.count('current'), 1)
  // The responder's answers are good for an hour.
  await at(29, [])
  responder.override = () => ({ status: 503, body: Buffer.alloc(0) })
  await at(31, ['failed'])
  await at(31.2, [])
  await at(32, ['failed'])
  assert.deepEqual(staples.find(der), first)
  assert.deepEqual(
    logged.filter((one) => one.includes('cannot be had')).length,
    1,
    'a responder that is away is said once',
  )
  responder.override = null
  await at(34, ['good'])
  assert.equal(stapler.count('current'), 1)
  // Made by the real clock, so that it ends when the first did, and no client would take it any more.
  clock.nowMs += 27 * MINUTE_MS
  assert.equal(staples.find(der), null)
  assert.equal(stapler.count('failing'), 1)
  assert.equal(stapler.firstEndMs, null)
})

void needed('what is revoked, or answered for others, is not stapled', async () => {
  const [one, other] = [await chain('b.test'), await chain('c.test')]
  const { stapler, staples, at } = stapling()
  await stapler.set(new Set([one.pem]))
  let seen: Buffer = Buffer.alloc(0)
  responder.override = (answer) => ({ status: 200, body: (seen = answer) })
  await at(0, ['good'])
  await root!.revoke(one.pair)
  responder.override = null
  await at(31, ['revoked'])
  assert.equal(staples.find(one.der), null)
  assert.equal(stapler.count('revoked'), 1)
  responder.override = () => ({ status: 200, body: seen })
  await stapler.set(new Set([other.pem]))
  await at(32, ['unknown'])
  assert.equal(staples.find(other.der), null)
  assert.equal(stapler.count('revoked'), 0)
  responder.override = null
})

void needed('what is stored is used at once when it is still good, and removed with its certificate', async () => {
  const { pem, der } = await chain('d.test')
  const store = memoryStore()
  const before_ = stapling(store)
  await before_.stapler.set(new Set([pem]))
  await before_.at(0, ['good'])
  const kept = [...store.kept][0]!
  const next = stapling(store)
  await next.stapler.set(new Set([pem]))
  assert.deepEqual(next.staples.find(der), kept[1])
  await next.at(1, [])
  // Whoever writes into the folder can't make the gateway send what its authority did not sign.
  const changed = Buffer.from(kept[1])
  changed[changed.toString('latin1').search(/\d{14}Z/) + 13]! ^= 1
  store.kept.set(kept[0], changed)
  const third = stapling(store)
  await third.stapler.set(new Set([pem]))
  assert.equal(third.staples.find(der), null)
  await third.stapler.set(new Set())
  assert.equal(store.kept.size, 0)
})

void needed('a certificate without its issuer is said to be impossible, and its whole chain taken later', async () => {
  const { pem, der, pair } = await chain('e.test')
  const { stapler, staples, at, logged } = stapling()
  await stapler.set(new Set([pair.cert]))
  await at(0, [])
  assert.equal(stapler.count('impossible'), 1)
  assert.match(logged[0]!, /its issuer is not among/)
  await stapler.set(new Set([pair.cert, pem]))
  await at(1, ['good'])
  assert.ok(staples.find(der) !== null)
  assert.equal(stapler.count('impossible'), 0)
})
