import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange, Exit, FunctionsMode } from '#pdk'
import { fakeExchange, prepare, sentBody, type FakeExchangeOptions } from '#pdk/testing'
import { preFunction } from '../pre-function/plugin.ts'

const MODES = ['sandbox', 'trusted'] as const

async function opened(mode: FunctionsMode, config: object) {
  const said: unknown[] = []
  const keep = (fields: object) => void said.push((fields as { said: string }).said)
  const log = { error: keep, warn: keep, info: keep, debug: keep }
  const state = prepare(preFunction, config, { functions: mode, log })
  await state.runner.ready
  const access = async (options: FakeExchangeOptions = {}): Promise<{ exchange: Exchange; exit: Exit | null }> => {
    const exchange = fakeExchange(options)
    const exit = (await preFunction.access!(exchange, state)) as Exit | undefined
    return { exchange, exit: exit ?? null }
  }
  return { state, said, access }
}
const run = async (mode: FunctionsMode, source: string, options?: FakeExchangeOptions) =>
  (await opened(mode, { access: [source] })).access(options)

for (const mode of MODES) {
  test(`${mode}: a function sees the request and changes what the upstream gets`, async () => {
    const { exchange, exit } = await run(
      mode,
      `
      const { request, service, client, router } = kong
      service.request.set_header('X-Seen', [request.get_method(), request.get_path(), request.get_query_arg('a'),
        request.get_header('x-in'), client.get_forwarded_ip(), router.get_route().name].join(' '))
      service.request.add_header('X-More', 1)
      service.request.clear_header('X-In')
      service.request.set_path('/other')
      service.request.set_raw_query('b=2')
      service.request.set_method('PUT')
      `,
      { path: '/x?a=1', headers: { 'X-In': 'yes' }, route: { name: 'r' } },
    )
    assert.equal(exit, null)
    const { headers } = exchange.request
    assert.equal(headers.get('x-seen'), 'GET /x 1 yes 127.0.0.1 r')
    assert.deepEqual([headers.get('x-more'), headers.has('x-in')], ['1', false])
    assert.deepEqual(
      [exchange.upstream.path, exchange.request.query, exchange.upstream.method],
      ['/other', 'b=2', 'PUT'],
    )
  })

  test(`${mode}: a function answers instead of the upstream, and those after it do not run`, async () => {
    const { access } = await opened(mode, {
      access: [
        `if (kong.request.get_header('x-key') !== 'k') return kong.response.exit(403, { why: 'no key' }, { 'X-By': 'me' })`,
        `kong.service.request.set_header('X-Second', 'ran')`,
      ],
    })
    const refused = await access()
    assert.partialDeepStrictEqual(refused.exit, { status: 403, body: '{"why":"no key"}', headers: [['X-By', 'me']] })
    assert.equal(refused.exchange.request.headers.has('x-second'), false)
    const passed = await access({ headers: { 'X-Key': 'k' } })
    assert.equal(passed.exit, null)
    assert.equal(passed.exchange.request.headers.get('x-second'), 'ran')
  })

  test(`${mode}: what is set up once is kept between requests, and kong comes as an argument`, async () => {
    const { access } = await opened(mode, {
      access: [`let n = 0; return (kong) => kong.service.request.set_header('X-N', ++n)`],
    })
    assert.equal((await access()).exchange.request.headers.get('x-n'), '1')
    assert.equal((await access()).exchange.request.headers.get('x-n'), '2')
  })

  test(`${mode}: bodies are read and replaced`, async () => {
    const source = `
      const order = JSON.parse(kong.request.get_raw_body())
      order.seen = true
      kong.service.request.set_raw_body(JSON.stringify(order))`
    const { exchange } = await run(mode, source, { method: 'POST', body: { id: 7 } })
    assert.equal(sentBody(exchange), '{"id":7,"seen":true}')
    const large = await run(mode, source, { method: 'POST', body: 'x'.repeat((1 << 20) + 1) })
    assert.equal(large.exit?.status, 413)
  })

  test(`${mode}: responses are changed, head and body`, async () => {
    const { state } = await opened(mode, {
      header_filter: [
        `kong.response.set_status(203); kong.response.set_header('X-Was', kong.response.get_status()); kong.response.clear_header('X-Off')`,
      ],
      body_filter: [`kong.response.set_raw_body(kong.response.get_raw_body().toUpperCase())`],
    })
    const exchange = fakeExchange({ response: { status: 200, headers: { 'X-Off': '1' } } })
    preFunction.responseHeaders!(exchange, state)
    assert.equal(exchange.response.status, 203)
    assert.deepEqual([exchange.response.headers.get('x-was'), exchange.response.headers.has('x-off')], ['203', false])
    const transform = preFunction.responseBody!(exchange, state)!
    assert.equal(transform.chunk(Buffer.from('qui')), null)
    assert.equal(transform.chunk(Buffer.from('et')), null)
    assert.equal(String(transform.end()), 'QUIET')
    const another = preFunction.responseBody!(exchange, state)!
    assert.throws(() => another.chunk(Buffer.alloc((1 << 20) + 1)), /can not be filtered/)
  })

  test(`${mode}: what one phase keeps the next ones find, and the log gets what is said`, async () => {
    const { state, said } = await opened(mode, {
      access: [`kong.ctx.shared.who = { name: 'a' }`],
      log: [`kong.log.warn('it was ', kong.ctx.shared.who.name, ' ', kong.ctx.shared.nobody)`],
    })
    const exchange = fakeExchange()
    void preFunction.access!(exchange, state)
    preFunction.log!(exchange, state)
    assert.deepEqual(said, ['it was a null'])
  })

  test(`${mode}: an exception and a wrong call fail the request`, async () => {
    const cases: [string, RegExp][] = [
      [`throw new Error('mine')`, /mine/],
      [`kong.service.request.set_header('X-A', 'b\\r\\nX-C: d')`, /printable characters/],
      [`kong.service.request.set_header('a b', 'c')`, /expected the name of a header/],
      [`kong.service.request.set_header('Content-Length', '0')`, /is the gateway's/],
      [`kong.service.request.set_header('X-A')`, /expected a text/],
      [`kong.service.request.set_path('no')`, /expected a path/],
      [`kong.response.exit(99)`, /expected 200 to 599/],
      [`kong.response.set_header('X-A', 'b')`, /is for header_filter, not for access/],
      [`kong.nothing.at_all()`, /at_all|undefined/],
      [`undeclared = 1`, /undeclared/],
    ]
    for (const [source, message] of cases) await assert.rejects(run(mode, source), message, source)
  })
}

test('sandbox: nothing of the gateway is in reach', async () => {
  const names = ['process', 'require', 'globalThis.process', 'fetch', 'setTimeout', 'console', 'Buffer', 'WebAssembly']
  for (const name of names) {
    const { exit } = await run('sandbox', `return kong.response.exit(200, typeof ${name})`)
    assert.equal(exit!.body, 'undefined', name)
  }
  const escape = `return kong.response.exit(200, kong.log.constructor.constructor('return typeof process')())`
  assert.equal((await run('sandbox', escape)).exit!.body, 'undefined')
  await assert.rejects(run('sandbox', `import('node:fs').then(() => 1); throw new Error('went on')`), /went on/)
})

test('sandbox: a function that takes too long, too much memory or too deep a stack is ended, and the next request is served', async () => {
  const sources = {
    loop: 'for (;;);',
    memory: `const all = []; for (;;) all.push('x'.repeat(1000) + all.length)`,
    stack: 'const f = () => f() + 1; f()',
    regex: `/^(a+)+$/.test('a'.repeat(40) + 'b')`,
  }
  for (const [what, source] of Object.entries(sources)) {
    const { access } = await opened('sandbox', {
      access: [`if (kong.request.get_header('x-bad')) { ${source} } kong.service.request.set_header('X-Ok', '1')`],
    })
    await assert.rejects(access({ headers: { 'X-Bad': '1' } }), { name: 'FunctionError' }, what)
    assert.equal((await access()).exchange.request.headers.get('x-ok'), '1', what)
  }
})

test('sandbox: instances do not see each other', async () => {
  await run('sandbox', `globalThis.left = 1; Object.prototype.left = 2`)
  assert.equal((await run('sandbox', `return kong.response.exit(200, typeof globalThis.left)`)).exit!.body, 'undefined')
})

test('trusted: functions may wait, and have everything', async () => {
  const source = `
    await new Promise((resolve) => setTimeout(resolve, 1))
    return kong.response.exit(200, typeof process)`
  assert.equal((await run('trusted', source)).exit!.body, 'object')
})

test('configurations that can not run are refused with their field', () => {
  const cases: [object, string, RegExp, FunctionsMode?][] = [
    [{ access: ['local x = 1'] }, 'access.0', /Lua code cannot run.*pre-function\.md/],
    [{ access: ['if a ~= b then return end'] }, 'access.0', /Lua code cannot run/],
    [{ access: ['return 1', 'return }'] }, 'access.1', /not JavaScript/],
    [{ access: ['}); process.exit(); (() => {'] }, 'access.0', /not JavaScript/],
    [{ certificate: ['return 1'] }, 'certificate', /can not choose certificates/],
    [{ access: ['await 1'] }, 'access', /await is for trusted/],
    [{ header_filter: ['await 1'] }, 'header_filter', /await is for trusted/, 'trusted'],
    [{ log: ['return 1'] }, 'log', /turned off/, 'off'],
  ]
  for (const [config, field, message, functions = 'sandbox'] of cases)
    assert.throws(
      () => prepare(preFunction, config, { functions }),
      (error: Error & { field?: string }) => {
        assert.match(error.message, message)
        assert.ok(error.message.includes(field.split('.')[0]!), error.message)
        return true
      },
    )
  assert.throws(() => prepare(preFunction, {}), /at least one of these fields/)
})
