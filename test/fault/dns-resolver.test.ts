/** What the resolver answers from cache, files and records, also when name servers fail. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Resolution } from '#core/resolution.ts'
import { failureOf, ips, NAME_ERROR, onlyA, SERVER_FAILURE, startBed, until } from '../support/dns-bed.ts'
import { a, aaaa, cname, soa, srv, startDnsServer, type DnsHandler } from '../support/dns-server.ts'

test('types are asked in order, and an answer is kept for its TTL', async (context) => {
  const { resolver, resolve, asked, clock } = await startBed(context, onlyA('10.0.0.1', 60))
  const first = await resolve('Web.test')
  assert.deepEqual(ips(first), ['10.0.0.1'])
  assert.deepEqual(asked(), ['SRV web.test', 'A web.test'])

  clock.now += 59_999
  assert.equal(resolver.resolve('web.test'), first, 'at once, and the same object')
  assert.equal(asked().length, 2)
})

test('the type that worked last is asked first', async (context) => {
  const { resolve, asked, clock } = await startBed(context, onlyA('10.0.0.1', 60), { settings: { dns_stale_ttl: 0 } })
  await resolve('web.test')
  clock.now += 61_000
  await resolve('web.test')
  assert.deepEqual(asked(), ['SRV web.test', 'A web.test', 'A web.test'])
})

test('AAAA is asked when A has nothing', async (context) => {
  const { resolve } = await startBed(context, ({ name, type }) => ({
    answers: type === 'AAAA' ? [aaaa(name, 'fd00::1')] : [],
  }))
  assert.partialDeepStrictEqual(await resolve('web.test'), { ok: true, type: 'AAAA', addresses: [{ ip: 'fd00::1' }] })
})

test('literals need no name server', async (context) => {
  const { resolver, asked } = await startBed(context, () => null)
  assert.partialDeepStrictEqual(resolver.resolve('10.1.2.3'), { ok: true, type: 'A', addresses: [{ ip: '10.1.2.3' }] })
  assert.partialDeepStrictEqual(resolver.resolve('[FD00::1]'), {
    ok: true,
    type: 'AAAA',
    addresses: [{ ip: 'fd00::1' }],
  })
  assert.partialDeepStrictEqual(resolver.resolve('::1'), { ok: true, type: 'AAAA', addresses: [{ ip: '::1' }] })
  assert.partialDeepStrictEqual(resolver.resolve('a..b'), { ok: false, code: 'name_error' })
  assert.deepEqual(asked(), [])
})

test('the hosts file and localhost answer at once', async (context) => {
  const { resolver, asked } = await startBed(context, () => null, { hosts: '10.9.9.9 Db db.test\nfd00::9 six' })
  assert.deepEqual(ips(resolver.resolve('DB.test') as Resolution), ['10.9.9.9'])
  assert.deepEqual(ips(resolver.resolve('six') as Resolution), ['fd00::9'])
  assert.deepEqual(ips(resolver.resolve('localhost') as Resolution), ['127.0.0.1'])
  assert.deepEqual(asked(), [])
})

test('many waiting for one name are one question', async (context) => {
  const { resolve, asked, resolver } = await startBed(context, ({ name, type }) => ({
    answers: type === 'A' ? [a(name, '10.0.0.1')] : [],
    delayMs: 20,
  }))
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => resolve(i % 2 === 0 ? 'web.test' : 'WEB.test')))
  assert.equal(new Set(all).size, 1)
  assert.deepEqual(asked(), ['SRV web.test', 'A web.test'])
  assert.equal(resolver.stats().misses, 50)
})

test('an expired answer serves at once while one question refreshes it', async (context) => {
  const { resolver, resolve, server, asked, clock } = await startBed(context, onlyA('10.0.0.1', 60))
  const old = await resolve('web.test')
  server.handler = onlyA('10.0.0.2', 60)
  clock.now += 61_000
  for (let i = 0; i < 10; i++) assert.equal(resolver.resolve('web.test'), old)
  await until(() => resolver.resolve('web.test') !== old)
  assert.deepEqual(ips(resolver.resolve('web.test') as Resolution), ['10.0.0.2'])
  assert.deepEqual(asked().slice(2), ['A web.test'])
})

test('a TTL of zero costs at most one question per second', async (context) => {
  const { resolver, resolve, asked, clock } = await startBed(context, onlyA('10.0.0.1', 0))
  await resolve('web.test')
  clock.now += 999
  for (let i = 0; i < 100; i++) assert.ok(!(resolver.resolve('web.test') instanceof Promise))
  assert.equal(asked().length, 2)
})

// Without the setting the second question would wait for 30 s.
test('dns_timeout replaces the time of resolv.conf for a question', { timeout: 20_000 }, async (context) => {
  let questions = 0
  const { resolve } = await startBed(
    context,
    ({ name }) => (++questions === 1 ? null : { answers: [a(name, '10.0.0.1')] }),
    { settings: { dns_timeout: 0.1, dns_order: ['A'] }, resolvConf: 'options timeout:30 attempts:2' },
  )
  assert.deepEqual(ips(await resolve('web.test')), ['10.0.0.1'])
  assert.equal(questions, 2)
})

test('dns_valid_ttl replaces the TTL of records', async (context) => {
  const { resolve, clock } = await startBed(context, onlyA('10.0.0.1', 5), { settings: { dns_valid_ttl: 100 } })
  assert.equal((await resolve('web.test')).expiresAtMs, clock.now + 100_000)
})

test('names seen before keep working when every name server dies, and recover by themselves', async (context) => {
  const { resolver, resolve, server, clock, log } = await startBed(context, onlyA('10.0.0.1', 60))
  const old = await resolve('web.test')
  server.handler = () => ({ rcode: SERVER_FAILURE })
  clock.now += 61_000
  assert.equal(resolver.resolve('web.test'), old)
  await until(() => resolver.stats().failures === 1)
  assert.equal(resolver.resolve('web.test'), old)

  clock.now += 2000
  assert.equal(resolver.resolve('web.test'), old)
  await until(() => resolver.stats().failures === 2)
  assert.deepEqual(log, ['warn: name not refreshed, last addresses stay'], 'once, not once per try')

  server.handler = onlyA('10.0.0.2', 60)
  clock.now += 2000
  assert.equal(resolver.resolve('web.test'), old)
  await until(() => resolver.resolve('web.test') !== old)
  assert.deepEqual(ips(resolver.resolve('web.test') as Resolution), ['10.0.0.2'])
  assert.equal(log.at(-1), 'info: name resolved again')
})

test('a failed refresh is not repeated before dns_error_ttl', async (context) => {
  const { resolver, resolve, server, clock } = await startBed(context, onlyA('10.0.0.1', 60), {
    settings: { dns_order: ['A'] },
  })
  await resolve('web.test')
  server.handler = () => ({ rcode: SERVER_FAILURE })
  clock.now += 61_000
  void resolver.resolve('web.test')
  await until(() => resolver.stats().failures === 1)
  clock.now += 900
  for (let i = 0; i < 20; i++) void resolver.resolve('web.test')
  assert.equal(resolver.stats().sent, 2)
  clock.now += 100
  for (let i = 0; i < 20; i++) void resolver.resolve('web.test')
  assert.equal(resolver.stats().sent, 3)
})

test('an answer older than dns_stale_ttl is not used', async (context) => {
  const { resolve, server, clock } = await startBed(context, onlyA('10.0.0.1', 60), { settings: { dns_stale_ttl: 10 } })
  await resolve('web.test')
  server.handler = () => ({ rcode: SERVER_FAILURE })
  clock.now += 70_001
  assert.equal(failureOf(await resolve('web.test')), 'resolve_failed: dns server error: 2 server failure')
})

test('a name that no longer exists is given up at once', async (context) => {
  const { resolver, resolve, server, clock } = await startBed(context, onlyA('10.0.0.1', 60))
  await resolve('web.test')
  server.handler = () => ({ rcode: NAME_ERROR })
  clock.now += 61_000
  void resolver.resolve('web.test')
  await until(() => resolver.stats().failures === 1)
  assert.equal(failureOf(await resolve('web.test')), 'name_error: dns server error: 3 name error')
})

test('an answer that is suddenly empty does not take addresses away', async (context) => {
  const { resolver, resolve, server, clock } = await startBed(context, onlyA('10.0.0.1', 60))
  const old = await resolve('web.test')
  server.handler = () => ({})
  clock.now += 61_000
  void resolver.resolve('web.test')
  await until(() => resolver.stats().failures === 1)
  assert.equal(resolver.resolve('web.test'), old)
})

test('a name that does not exist is not asked for again for dns_not_found_ttl', async (context) => {
  const { resolver, resolve, asked, clock, log } = await startBed(context, () => ({ rcode: NAME_ERROR }))
  assert.equal(failureOf(await resolve('no.test')), 'name_error: dns server error: 3 name error')
  const count = asked().length
  clock.now += 29_999
  assert.ok(!(resolver.resolve('no.test') instanceof Promise))
  assert.equal(asked().length, count)
  clock.now += 1
  await resolve('no.test')
  assert.equal(asked().length, 2 * count)
  assert.deepEqual(log, ['warn: name not resolved'])
})

test('a name without addresses is a name error, in the words of Kong', async (context) => {
  const { resolve } = await startBed(context, () => ({ authorities: [soa('test')] }))
  assert.equal(failureOf(await resolve('web.test')), 'name_error: dns client error: 101 empty record received')
})

test('while name servers fail, their failure answers at once and is retried in the background', async (context) => {
  const { resolver, resolve, server, clock } = await startBed(context, () => ({ rcode: SERVER_FAILURE }))
  const failure = await resolve('web.test')
  assert.equal(failureOf(failure), 'resolve_failed: dns server error: 2 server failure')
  server.handler = onlyA('10.0.0.1')
  clock.now += 1001
  assert.equal(resolver.resolve('web.test'), failure)
  await until(() => resolver.resolve('web.test') !== failure)
  assert.deepEqual(ips(await resolve('web.test')), ['10.0.0.1'])
})

test('name servers come from resolv.conf when the setting is empty, with its search list', async (context) => {
  const server = await startDnsServer(({ name, type }) =>
    name === 'db.b.test' && type === 'A' ? { answers: [a(name, '10.0.0.1')] } : { rcode: NAME_ERROR },
  )
  context.after(() => server[Symbol.asyncDispose]())
  const { resolve } = await startBed(context, () => null, {
    settings: { dns_resolver: null, dns_order: ['A'] },
    resolvConf: `nameserver ${server.address}\nsearch a.test b.test\noptions timeout:1 attempts:1`,
  })
  assert.deepEqual(ips(await resolve('db')), ['10.0.0.1'])
  assert.deepEqual(
    server.questions.map(({ name }) => name),
    ['db.a.test', 'db.b.test'],
  )
})

test('aliases are followed inside an answer, with the least TTL of the chain', async (context) => {
  const { resolve, clock } = await startBed(context, ({ name, type }) => ({
    answers:
      type === 'A' ? [a('c.test', '10.0.0.1', 50), cname(name, 'B.test', 60), cname('b.test', 'c.test', 20)] : [],
  }))
  const resolution = await resolve('a.test')
  assert.deepEqual(ips(resolution), ['10.0.0.1'])
  assert.equal(resolution.expiresAtMs, clock.now + 20_000)
})

test('the target of an alias is asked for when the server does not recurse', async (context) => {
  const { resolve } = await startBed(context, ({ name, type }) => {
    if (name === 'a.test') return { answers: [cname('a.test', 'b.test')] }
    return type === 'A' ? { answers: [a('b.test', '10.0.0.1')] } : { authorities: [soa('test')] }
  })
  assert.deepEqual(ips(await resolve('a.test')), ['10.0.0.1'])
})

test('the target of an alias is not asked for when the server says that there is nothing', async (context) => {
  const { resolve, asked } = await startBed(context, ({ name, type }) => {
    const alias = [cname(name, 'b.test')]
    return type === 'A'
      ? { answers: [...alias, a('b.test', '10.0.0.1')] }
      : { answers: alias, authorities: [soa('test')] }
  })
  assert.deepEqual(ips(await resolve('a.test')), ['10.0.0.1'])
  assert.deepEqual(asked(), ['SRV a.test', 'A a.test'])
})

test('an alias of a name with other records is followed through the CNAME type', async (context) => {
  const { resolve } = await startBed(
    context,
    ({ name, type }) => {
      if (name === 'a.test')
        return type === 'CNAME' ? { answers: [cname(name, 'b.test')] } : { authorities: [soa('test')] }
      return type === 'AAAA' ? { answers: [aaaa(name, 'fd00::1')] } : {}
    },
    { settings: { dns_order: ['LAST', 'A', 'AAAA', 'CNAME'] } },
  )
  assert.deepEqual(ips(await resolve('a.test')), ['fd00::1'])
})

test('aliases in a circle are an error and end', async (context) => {
  const circle: DnsHandler = ({ name, type }) => {
    const next = name === 'a.test' ? 'b.test' : 'a.test'
    return type === 'CNAME' ? { answers: [cname(name, next)] } : { authorities: [soa('test')] }
  }
  const { resolve, server } = await startBed(context, circle)
  assert.equal(failureOf(await resolve('a.test')), 'resolve_failed: recursion detected')

  server.handler = ({ name }) => ({ answers: [cname(name, 'y.test'), cname('y.test', name)] })
  assert.equal(failureOf(await resolve('x.test')), 'resolve_failed: recursion detected')
})

test('SRV records give port, weight and name, only the best priority, weight 0 as 1', async (context) => {
  const { resolve } = await startBed(context, ({ name, type }) => {
    if (type === 'SRV' && name === 'svc.test') {
      return {
        answers: [
          srv(name, { target: 'one.test', port: 8001, weight: 10, priority: 1 }),
          srv(name, { target: 'two.test', port: 8002, weight: 0, priority: 1 }),
          srv(name, { target: 'three.test', port: 8003, weight: 10, priority: 2 }),
        ],
        additionals: [a('one.test', '10.0.0.1')],
      }
    }
    return { answers: type === 'A' ? [a(name, '10.0.0.2'), a(name, '10.0.0.3')] : [] }
  })
  const resolution = await resolve('svc.test')
  assert.ok(resolution.ok)
  assert.equal(resolution.type, 'SRV')
  assert.deepEqual(resolution.addresses, [
    { ip: '10.0.0.1', port: 8001, weight: 10, priority: 1, srvName: 'one.test' },
    { ip: '10.0.0.2', port: 8002, weight: 0.5, priority: 1, srvName: 'two.test' },
    { ip: '10.0.0.3', port: 8002, weight: 0.5, priority: 1, srvName: 'two.test' },
  ])
})

test('the next priority serves when no target of the best can be resolved', async (context) => {
  const { resolve } = await startBed(context, ({ name, type }) => {
    if (name === 'svc.test') {
      return {
        answers: [
          srv(name, { target: 'gone.test', port: 1, priority: 1 }),
          srv(name, { target: 'there.test', port: 2, priority: 2 }),
        ],
      }
    }
    return name === 'there.test' && type === 'A' ? { answers: [a(name, '10.0.0.1')] } : { rcode: NAME_ERROR }
  })
  assert.partialDeepStrictEqual(await resolve('svc.test'), { addresses: [{ ip: '10.0.0.1', port: 2 }] })
})

test('a SRV record that points to its own name gives way to the address records', async (context) => {
  const { resolve } = await startBed(
    context,
    ({ name, type }) => {
      if (name !== 'pod.a.test') return { rcode: NAME_ERROR }
      return {
        answers: type === 'SRV' ? [srv(name, { target: name, port: 80 })] : type === 'A' ? [a(name, '10.0.0.1')] : [],
      }
    },
    { resolvConf: 'search a.test\noptions timeout:1 attempts:1' },
  )
  const address = { type: 'A', addresses: [{ ip: '10.0.0.1', port: 0 }] }
  assert.partialDeepStrictEqual(await resolve('pod'), address)
  assert.partialDeepStrictEqual(await resolve('pod.a.test'), address)
})

test('the cache is bounded', async (context) => {
  const { resolve, resolver } = await startBed(context, onlyA('10.0.0.1'), { settings: { dns_cache_size: 5 } })
  for (let i = 0; i < 20; i++) await resolve(`n${i}.test`)
  assert.equal(resolver.stats().names, 5)
})
