/** The resolver against name servers that answer late, cut off, forged, broken or not at all. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureOf, ips, onlyA, SERVER_FAILURE, startBed, until } from '../support/dns-bed.ts'
import { a, startDnsServer } from '../support/dns-server.ts'

test('forged answers are passed over and the right one counts', async (context) => {
  const { resolve } = await startBed(context, ({ name, type, id }) => {
    if (type !== 'A') return {}
    const forged = { answers: [a(name, '6.6.6.6')] }
    return [
      { ...forged, change: (packet) => ({ ...packet, id: (id + 1) & 0xffff }) },
      { ...forged, change: (packet) => ({ ...packet, questions: [{ name: 'other.test', type: 'A' as const }] }) },
      { ...forged, change: (packet) => ({ ...packet, type: 'query' as const }) },
      { ...forged, fromElsewhere: true },
      { bytes: Buffer.from('nonsense') },
      { answers: [a(name, '10.0.0.1')], delayMs: 30 },
    ]
  })
  assert.deepEqual(ips(await resolve('web.test')), ['10.0.0.1'])
})

test('ids and source ports differ from question to question', async (context) => {
  const { resolve, server } = await startBed(context, onlyA('10.0.0.1'))
  for (let i = 0; i < 20; i++) await resolve(`n${i}.test`)
  const { questions } = server
  assert.equal(questions.length, 40)
  assert.ok(new Set(questions.map(({ id }) => id)).size > 35)
  assert.ok(new Set(questions.map(({ port }) => port)).size > 35)
  const steps = questions.slice(1).map(({ port }, i) => port - questions[i]!.port)
  assert.ok(new Set(steps).size > 20, 'ports do not count up')
})

test('a cut off answer is asked for again over TCP', async (context) => {
  const many = Array.from({ length: 200 }, (_, i) => a('big.test', `10.0.1.${i}`))
  const { resolve, server } = await startBed(
    context,
    ({ transport }) => (transport === 'udp' ? { isTruncated: true } : { answers: many }),
    { settings: { dns_order: ['A'] } },
  )
  assert.equal(ips(await resolve('big.test')).length, 200)
  assert.deepEqual(
    server.questions.map(({ transport }) => transport),
    ['udp', 'tcp'],
  )
})

test('a forged message over TCP is passed over too', async (context) => {
  const { resolve } = await startBed(
    context,
    ({ name, transport, id }) =>
      transport === 'udp'
        ? { isTruncated: true }
        : [
            { answers: [a(name, '6.6.6.6')], change: (packet) => ({ ...packet, id: (id + 1) & 0xffff }) },
            { answers: [a(name, '10.0.0.1')] },
          ],
    { settings: { dns_order: ['A'] } },
  )
  assert.deepEqual(ips(await resolve('web.test')), ['10.0.0.1'])
})

test('a server that refuses EDNS is asked without it', async (context) => {
  const { resolve, server } = await startBed(
    context,
    ({ name, hasEdns }) =>
      hasEdns ? { rcode: 1, change: (p) => ({ ...p, questions: [] }) } : { answers: [a(name, '10.0.0.1')] },
    { settings: { dns_order: ['A'] } },
  )
  assert.deepEqual(ips(await resolve('web.test')), ['10.0.0.1'])
  assert.deepEqual(
    server.questions.map(({ hasEdns }) => hasEdns),
    [true, false],
  )
})

test('a silent server costs its time-out and no more', async (context) => {
  const { resolve, asked } = await startBed(context, () => null, {
    settings: { dns_order: ['SRV', 'A'] },
    resolvConf: 'options timeout:1 attempts:1',
  })
  assert.equal(
    failureOf(await resolve('web.test')).replace(/:\d+\)/, ')'),
    'resolve_failed: dns client error: timeout (UDP server 127.0.0.1)',
  )
  assert.deepEqual(asked(), ['SRV web.test'], 'another type could be a wrong answer')
})

test('a dead server is passed over for the next', async (context) => {
  const gone = await startDnsServer(() => null)
  await gone[Symbol.asyncDispose]()
  const server = await startDnsServer(onlyA('10.0.0.1'))
  context.after(() => server[Symbol.asyncDispose]())
  const { resolve } = await startBed(context, () => null, {
    settings: { dns_resolver: [gone.address, server.address] },
  })
  assert.deepEqual(ips(await resolve('one.test')), ['10.0.0.1'])
  assert.deepEqual(ips(await resolve('two.test')), ['10.0.0.1'])
})

test('another server is asked when one fails, and stays the first to be asked', async (context) => {
  const failing = await startDnsServer(() => ({ rcode: SERVER_FAILURE }))
  context.after(() => failing[Symbol.asyncDispose]())
  const server = await startDnsServer(onlyA('10.0.0.1'))
  context.after(() => server[Symbol.asyncDispose]())
  const { resolve } = await startBed(context, () => null, {
    settings: { dns_resolver: [failing.address, server.address] },
  })
  assert.deepEqual(ips(await resolve('one.test')), ['10.0.0.1'])
  assert.deepEqual(ips(await resolve('two.test')), ['10.0.0.1'])
  assert.equal(failing.questions.length, 1)
  assert.equal(server.questions.length, 4)
})

test('a malformed answer is a failure and not a crash', async (context) => {
  const { resolve } = await startBed(context, ({ id }) => {
    const bytes = Buffer.alloc(20, 0xc0)
    bytes.writeUInt16BE(id, 0)
    bytes.writeUInt16BE(0x8180, 2)
    return { bytes }
  })
  assert.match(failureOf(await resolve('web.test')), /resolve_failed: dns client error: malformed answer/)
})

test('a thousand names at once are all resolved, a bounded number at a time', async (context) => {
  let atOnce = 0
  let most = 0
  const { resolve } = await startBed(
    context,
    ({ name }) => {
      most = Math.max(most, ++atOnce)
      setTimeout(() => atOnce--, 5)
      return { answers: [a(name, '10.0.0.1')], delayMs: 5 }
    },
    { settings: { dns_order: ['A'], dns_cache_size: 2000 } },
  )
  const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => resolve(`n${i}.test`)))
  assert.ok(all.every((resolution) => resolution.ok))
  assert.ok(most <= 200, `${most} questions at once`)
})

test('closing ends what waits', async (context) => {
  const { resolver, resolve, server } = await startBed(context, () => null)
  const waiting = resolve('web.test')
  await until(() => server.questions.length === 1)
  resolver.close()
  assert.match(failureOf(await waiting), /closed/)
  assert.match(failureOf(await resolve('other.test')), /closed/)
})
