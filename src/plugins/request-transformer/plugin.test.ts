import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  completeConfig,
  fakeExchange,
  fakeTools,
  headersOf,
  prepare,
  sentBody,
  type FakeBody,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { requestTransformer } from './plugin.ts'

async function run(config: object, request: FakeExchangeOptions & { shared?: Readonly<Record<string, unknown>> } = {}) {
  const exchange = fakeExchange(request)
  for (const [name, value] of Object.entries(request.shared ?? {})) exchange.shared.set(name, value)
  const exit = (await requestTransformer.access!(exchange, prepare(requestTransformer, config))) ?? null
  const { upstream } = exchange
  return {
    exit: exit === null ? null : [exit.status, exit.message ?? exit.body],
    headers: headersOf(exchange.request.headers),
    query: exchange.request.query,
    body: sentBody(exchange),
    isReplaced: (exchange.request.body as FakeBody).isReplaced,
    path: upstream.path,
    method: upstream.method,
    host: upstream.hostHeader,
  }
}

const FAILED = [500, '{"message":"An unexpected error occurred"}']

test('changes nothing when nothing is configured, and awaits nothing', () => {
  const exchange = fakeExchange({ path: '/a?b=%7e&a=1', body: { a: 1 } })
  assert.equal(requestTransformer.access!(exchange, prepare(requestTransformer, {})), undefined)
  assert.equal(exchange.request.query, 'b=%7e&a=1')
  assert.equal((exchange.request.body as FakeBody).isReplaced, false)
  assert.equal(exchange.upstream.method, '')
})

test('adds headers that are absent', async () => {
  const { headers } = await run(
    { add: { headers: ['X-New: v1', 'X-Have:v2', 'X-Colon:a:b:c', 'X-Empty:', 'X-New:again'] } },
    { headers: { 'x-have': 'o' } },
  )
  assert.deepEqual(headers, { 'x-have': 'o', 'x-new': 'v1', 'x-colon': 'a:b:c' })
})

test('replaces headers that are there, with all their repetitions', async () => {
  const twice = [
    ['X-Have', 'a'],
    ['X-Have', 'b'],
  ] as const
  assert.deepEqual((await run({ replace: { headers: ['x-have:new', 'X-None:n'] } }, { headers: twice })).headers, {
    'x-have': 'new',
  })
})

test('appends headers as further fields', async () => {
  const { headers } = await run(
    { append: { headers: ['X-Have:more', 'X-None:first'] } },
    { headers: { 'X-Have': 'orig' } },
  )
  assert.deepEqual(headers, { 'x-have': ['orig', 'more'], 'x-none': 'first' })
})

test('removes headers in any case', async () => {
  assert.deepEqual(
    (
      await run(
        { remove: { headers: ['X-Have', 'user-agent'] } },
        { headers: { 'x-have': '1', 'User-Agent': 'u', 'X-Stay': 's' } },
      )
    ).headers,
    { 'x-stay': 's' },
  )
})

test('renames headers with all their values, over what had the new name', async () => {
  const headers = [
    ['X-Have', 'a'],
    ['X-Have', 'b'],
    ['X-Renamed', 'old'],
  ] as const
  assert.deepEqual((await run({ rename: { headers: ['x-have:X-Renamed', 'X-None:X-Other'] } }, { headers })).headers, {
    'x-renamed': ['a', 'b'],
  })
})

test('works in the order remove, rename, replace, add, append', async () => {
  const config = {
    remove: { headers: ['X-R'] },
    rename: { headers: ['X-N:X-M', 'X-R:X-Z'] },
    replace: { headers: ['X-M:replaced', 'X-R:not'] },
    add: { headers: ['X-R:added', 'X-N:added', 'X-M:not'] },
    append: { headers: ['X-M:appended'] },
  }
  const { headers } = await run(config, { headers: { 'X-R': '1', 'X-N': '2' } })
  assert.deepEqual(headers, { 'x-r': 'added', 'x-n': 'added', 'x-m': ['replaced', 'appended'] })
})

test('only replacing the Host header has an effect', async () => {
  const replaced = await run({ replace: { headers: ['Host: other.test'] } }, { headers: { Host: 'client.test' } })
  assert.deepEqual([replaced.host, replaced.headers['host']], ['other.test', 'client.test'])
  const others = {
    remove: { headers: ['host'] },
    rename: { headers: ['Host:X-H', 'X-A:HOST'] },
    add: { headers: ['host:a'] },
    append: { headers: ['Host:b'] },
  }
  const same = await run(others, { headers: { Host: 'client.test', 'X-A': 'a' } })
  assert.deepEqual([same.host, same.headers], ['', { host: 'client.test', 'x-a': 'a' }])
})

const QUERIES: readonly (readonly [operation: string, pairs: readonly string[], path: string, query: string | null])[] =
  [
    ['add', ['n:1', 'have:2', 'sp:a b', 'enc:%20'], '/?have=o', 'enc=%2520&have=o&n=1&sp=a%20b'],
    ['add', ['bare:1'], '/?bare', 'bare'],
    ['add', ['ü:ö'], '/', '%C3%BC=%C3%B6'],
    ['replace', ['have:new', 'none:n'], '/?k=1&have=a&have=b', 'have=new&k=1'],
    ['append', ['have:more', 'none:first'], '/?have=a&have=b', 'have=a&have=b&have=more&none=first'],
    ['append', ['a:1', 'a:2'], '/', 'a=1&a=2'],
    ['append', ['a:1'], '/?a', 'a&a=1'],
    ['remove', ['have', 'x'], '/?have=1&k=2&x&have', 'k=2'],
    ['remove', ['have'], '/?have=1', null],
    ['remove', ['have'], '/?k=a%20b&l=%2F%3F&m=+&n&o=', 'k=a%20b&l=%2F%3F&m=%20&n&o='],
    ['rename', ['have:renamed', 'none:other'], '/?have=1&k=2&have=3', 'k=2&renamed=1&renamed=3'],
    ['rename', ['have:have'], '/?have=1', 'have=1'],
  ]
for (const [operation, querystring, path, query] of QUERIES) {
  test(`${operation} ${querystring.join(', ')} makes ${path} to ${query}`, async () => {
    assert.equal((await run({ [operation]: { querystring } }, { path })).query, query)
  })
}

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const JSON_TYPE = { 'Content-Type': 'application/json; charset=utf-8' }
const MULTIPART = { 'Content-Type': 'multipart/form-data; boundary=bb' }
const part = (name: string, text: string) => `--bb\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`

const BODIES: readonly (readonly [
  type: object,
  operation: string,
  pairs: readonly string[],
  body: string,
  changed: string,
])[] = [
  [FORM, 'add', ['n:1', 'have:2'], 'have=o&k=1', 'have=o&k=1&n=1'],
  [FORM, 'replace', ['have:new', 'none:n'], 'have=o&k=1', 'have=new&k=1'],
  [FORM, 'append', ['have:more', 'none:first'], 'have=o', 'have=o&have=more&none=first'],
  [FORM, 'remove', ['have'], 'have=o&k=1', 'k=1'],
  [FORM, 'rename', ['have:renamed'], 'have=o&k=1', 'k=1&renamed=o'],
  [FORM, 'add', ['n:1'], '', 'n=1'],
  [
    JSON_TYPE,
    'add',
    ['n:1', 'have:2'],
    '{"have":null,"k":12345678901234567890}',
    '{"have":null,"k":12345678901234567890,"n":"1"}',
  ],
  [JSON_TYPE, 'add', ['n:"ü"'], '', '{"n":"\\"ü\\""}'],
  [JSON_TYPE, 'replace', ['have:new', 'none:n'], '{"have":[1],"k":1}', '{"have":"new","k":1}'],
  [
    JSON_TYPE,
    'append',
    ['have:more', 'none:first'],
    '{"have":["a", "b"]}',
    '{"have":["a", "b","more"],"none":["first"]}',
  ],
  [
    JSON_TYPE,
    'append',
    ['a:2', 'b:2', 'c:2', 'd:2'],
    '{"a":1,"b":[ ],"c":null,"d":{}}',
    '{"a":[1,"2"],"b":["2"],"c":["2"],"d":[{},"2"]}',
  ],
  [JSON_TYPE, 'remove', ['have'], '{"have":"o"}', '{}'],
  [JSON_TYPE, 'rename', ['have:renamed'], '{"have":{"x": 1},"k":1}', '{"k":1,"renamed":{"x": 1}}'],
  [MULTIPART, 'remove', ['have'], `${part('have', 'o')}${part('k', 'v')}--bb--\r\n`, `${part('k', 'v')}--bb--\r\n`],
  [
    MULTIPART,
    'rename',
    ['have:new'],
    `${part('have', 'o')}${part('new', 'x')}--bb--\r\n`,
    `${part('new', 'o')}--bb--\r\n`,
  ],
  [
    MULTIPART,
    'replace',
    ['have:r', 'none:n'],
    `${part('have', 'o')}${part('k', 'v')}--bb--\r\n`,
    `${part('k', 'v')}${part('have', 'r')}--bb--\r\n`,
  ],
  [MULTIPART, 'add', ['n:1', 'k:2'], `${part('k', 'v')}--bb--\r\n`, `${part('k', 'v')}${part('n', '1')}--bb--\r\n`],
  [MULTIPART, 'add', ['n:1'], '', `${part('n', '1')}--bb--\r\n`],
]
for (const [type, operation, pairs, body, changed] of BODIES) {
  const name = Object.values(type)[0] as string
  test(`${operation} ${pairs.join(', ')} in a body of ${name.split(';')[0]} makes ${JSON.stringify(changed)}`, async () => {
    const done = await run(
      { [operation]: { body: pairs } },
      { method: 'POST', headers: type as Record<string, string>, body },
    )
    assert.equal(done.exit, null)
    assert.equal(done.body, changed)
  })
}

const UNTOUCHED: readonly (readonly [name: string, type: object, config: object, body: string])[] = [
  ['of another type', { 'Content-Type': 'text/plain' }, { add: { body: ['n:1'] } }, 'have=1'],
  ['without a type', {}, { add: { body: ['n:1'] } }, 'have=1'],
  ['that is no JSON', JSON_TYPE, { add: { body: ['n:1'] } }, '{bad'],
  ['of JSON that is no object', JSON_TYPE, { add: { body: ['n:1'] } }, '[1]'],
  ['that does not keep to its boundary', MULTIPART, { add: { body: ['n:1'] } }, 'x'],
  [
    'without the field',
    JSON_TYPE,
    { remove: { body: ['x'] }, rename: { body: ['x:y'] }, replace: { body: ['x:y'] } },
    '{"a" : 1}',
  ],
  [
    'of a multipart form that is to be appended to',
    MULTIPART,
    { append: { body: ['k:1'] } },
    `${part('k', 'v')}--bb--\r\n`,
  ],
]
for (const [name, type, config, body] of UNTOUCHED) {
  test(`leaves a body ${name} as it came`, async () => {
    const done = await run(config, { method: 'POST', headers: type as Record<string, string>, body })
    assert.deepEqual([done.exit, done.isReplaced, done.body], [null, false, body])
  })
}

test('refuses a body that is too big to be changed, instead of passing it unchanged', async () => {
  const request = { method: 'POST', headers: FORM, body: 'a'.repeat((8 << 20) + 1) }
  assert.deepEqual((await run({ remove: { body: ['a'] } }, request)).exit, [413, 'Payload too large'])
})

test('gives the upstream another method', async () => {
  assert.equal((await run({ http_method: 'PUT' }, { method: 'POST', body: 'b' })).method, 'PUT')
})

test('copies a form to the query when the method becomes one without a body', async () => {
  for (const http_method of ['GET', 'HEAD', 'TRACE']) {
    const done = await run({ http_method }, { method: 'POST', path: '/?b=0&c', headers: FORM, body: 'a=1&b=2' })
    assert.deepEqual([done.method, done.query, done.body], [http_method, 'a=1&b=0&b=2&c', 'a=1&b=2'])
  }
  assert.equal((await run({ http_method: 'GET' }, { method: 'POST', body: { a: 1 } })).query, null)
  assert.equal((await run({ http_method: 'PUT' }, { method: 'POST', headers: FORM, body: 'a=1' })).query, null)
})

test('replaces the path and keeps the query', async () => {
  const done = await run({ replace: { uri: '/fixed/path' }, add: { querystring: ['n:1'] } }, { path: '/a?b=2' })
  assert.deepEqual([done.path, done.query], ['/fixed/path', 'b=2&n=1'])
})

test("a query in the new path stands in front of the request's", async () => {
  assert.equal((await run({ replace: { uri: '/x?v=1' } }, { path: '/a?b=2' })).query, 'v=1&b=2')
  assert.equal((await run({ replace: { uri: 'x?v=1' } }, { path: '/a' })).query, 'v=1')
})

test('fills templates from captures, arguments, headers and what plugins share', async () => {
  const config = {
    replace: { uri: '/items/$(uri_captures["id"])/$(uri_captures[2])' },
    add: {
      headers: [
        'X-Q:$(query_params.q)',
        'X-H:$(headers["x-in"])$(headers.X_In)',
        'X-Or:$(query_params.zz or "default")',
        'X-None:$(query_params.zz)',
      ],
      querystring: ['s:$(shared.name)', 'id:$(uri_captures.id)'],
      body: ['b:$(query_params.bare)-$(query_params.list)'],
    },
    rename: { querystring: ['q:$(shared.name)'] },
  }
  const done = await run(config, {
    method: 'POST',
    path: '/x?q=v%20v&bare&list=1&list=2',
    headers: { 'X-In': 'hv' },
    body: {},
    captures: { named: { id: '42' }, unnamed: ['42', 'abc'] },
    shared: { name: 'ü' },
  })
  assert.equal(done.exit, null)
  assert.equal(done.path, '/items/42/abc')
  assert.equal(done.query, 'bare&id=42&list=1&list=2&s=%C3%BC&%C3%BC=v%20v')
  assert.deepEqual(
    [done.headers['x-q'], done.headers['x-h'], done.headers['x-or'], done.headers['x-none']],
    ['v v', 'hvhv', 'default', ''],
  )
  assert.equal(done.body, '{"b":"true-1, 2"}')
})

test('templates see the request as it came, whatever was changed before', async () => {
  const config = {
    remove: { headers: ['X-In'], querystring: ['q'] },
    add: { headers: ['X-Copy:$(headers["x-in"])'], querystring: ['copy:$(query_params.q)'] },
  }
  const done = await run(config, { path: '/?q=1', headers: { 'X-In': 'hv' } })
  assert.deepEqual([done.headers, done.query], [{ 'x-copy': 'hv' }, 'copy=1'])
})

test('a template that looks into nothing answers 500, and the log says why once', async () => {
  const logged: object[] = []
  const log = { warn: (fields: object) => logged.push(fields), error() {}, info() {}, debug() {} }
  const state = prepare(requestTransformer, { add: { headers: ['X-Bad:$(query_params.q.r.s)'] } }, { log })
  for (let i = 0; i < 3; i++) {
    const exit = await requestTransformer.access!(fakeExchange({ path: '/?q=1' }), state)
    assert.partialDeepStrictEqual(exit, { status: 500, body: '{"message":"An unexpected error occurred"}' })
  }
  assert.deepEqual(logged, [{ reason: "field 's' of nil" }])
  for (const config of [
    { replace: { uri: '$(a.b)' } },
    { add: { querystring: ['x:$(a.b)'] } },
    { add: { body: ['x:$(a.b)'] } },
  ]) {
    assert.deepEqual((await run(config, { headers: FORM, body: 'a=1' })).exit, FAILED)
  }
})

test('a value from the request can not add header fields, end the request line or add arguments', async () => {
  const config = {
    replace: { uri: '/p/$(query_params.q)' },
    add: { headers: ['X-Q:$(query_params.q)'], querystring: ['c:$(query_params.q)'], body: ['f:$(query_params.q)'] },
    remove: { querystring: ['q'] },
  }
  const done = await run(config, {
    method: 'POST',
    path: '/?q=a%0d%0aX-Evil:+1%20HTTP/1.1%26z=1%23',
    headers: FORM,
    body: 'k=1',
  })
  assert.equal(done.headers['x-q'], 'a%0D%0AX-Evil: 1 HTTP/1.1&z=1#')
  assert.equal(done.path, '/p/a%0D%0AX-Evil:%201%20HTTP/1.1&z=1%23')
  assert.equal(done.query, 'c=a%0D%0AX-Evil%3A%201%20HTTP%2F1.1%26z%3D1%23')
  assert.equal(done.body, 'k=1&f=a%0D%0AX-Evil%3A%201%20HTTP%2F1.1%26z%3D1%23')
})

const REFUSED: readonly (readonly [config: object, field: string, reason: RegExp])[] = [
  [{ add: { headers: ['X-A:$(string.upper(headers.x))'] } }, 'add.headers', /function calls are not available/],
  [{ replace: { uri: '/$((function() return 1 end)())' } }, 'replace.uri', /Lua code \('function'\) is not available/],
  [{ append: { querystring: ['a:$(1 + 1)'] } }, 'append.querystring.0', /'\+' is not available/],
  [{ rename: { body: ['a:$(headers.x:sub(1))'] } }, 'rename.body.0', /method calls are not available/],
]
for (const [config, field, message] of REFUSED) {
  test(`refuses ${JSON.stringify(config)} with the reason`, () => {
    assert.throws(() => prepare(requestTransformer, config), { code: 'CONFIG_INVALID', field, message })
  })
}

test('a template that another version stored and this one can not run answers 500', () => {
  const stored = {
    ...completeConfig(requestTransformer, {}),
    add: { headers: ['X-A:$(string.upper("a"))'], body: [], querystring: [] },
  }
  const state = requestTransformer.prepare(stored, fakeTools())
  assert.partialDeepStrictEqual(requestTransformer.access!(fakeExchange(), state), { status: 500 })
})

test('a pair without a value, or with what is no header name, is refused', () => {
  assert.throws(() => prepare(requestTransformer, { add: { headers: ['novalue'] } }), {
    code: 'CONFIG_INVALID',
    field: 'add.headers.0',
  })
  assert.throws(() => prepare(requestTransformer, { add: { headers: ['a b:c'] } }), /'a b' is not a valid header/)
  assert.throws(() => prepare(requestTransformer, { add: { body: ['novalue'] } }), /key 'novalue' has no value/)
})
