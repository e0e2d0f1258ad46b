import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { nameBasedUuid } from '#core/name-based-uuid.ts'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import { DEFAULT_WORKSPACE } from '../document.ts'
import { testContext, testModel } from '../testing.ts'
import { flattenErrors } from './flatten.ts'
import { loadDeclarative, type Entry, type LoadFailure } from './load.ts'
import { describeProblem } from './problems.ts'

const model = testModel(pluginSchemas, pluginEntities)

function load(text: string, options: { file?: string; model?: typeof model } = {}) {
  return loadDeclarative(
    { text, ...(options.file && { file: options.file }) },
    { model: options.model ?? model, context: testContext() },
  )
}

function entries(text: string): Record<string, any[]> {
  const loaded = load(text)
  assert.ok(loaded.ok, JSON.stringify(!loaded.ok && loaded.problems))
  return byKind(loaded.entries)
}

function byKind(list: readonly Entry[]): Record<string, any[]> {
  return Object.groupBy(
    list.map(({ kind, document, workspace }) => ({ ...document, kind, workspace })),
    ({ kind }) => kind,
  ) as Record<string, any[]>
}

function failure(text: string, file?: string): LoadFailure {
  const loaded = load(text, { ...(file !== undefined && { file }) })
  assert.ok(!loaded.ok)
  return loaded
}

test('entities may stand inside what they belong to, at any depth', () => {
  const { services, routes, plugins } = entries(`
_format_version: "3.0"
services:
- name: s
  url: http://h.test/x
  routes:
  - name: r
    paths: [/a]
    plugins:
    - name: key-auth
`)
  assert.equal(services![0].host, 'h.test')
  assert.deepEqual(routes![0].service, { id: services![0].id })
  assert.deepEqual(plugins![0].route, { id: routes![0].id })
  assert.equal(plugins![0].service, null)
  assert.equal(routes![0].workspace, DEFAULT_WORKSPACE)
})

test('references are by id, by name, or by an object with either', () => {
  const { services, routes } = entries(`
_format_version: "3.0"
services:
- { id: AAAAAAAA-0000-4000-8000-000000000001, name: s, host: h }
routes:
- { name: a, paths: [/a], service: s }
- { name: b, paths: [/b], service: aaaaaaaa-0000-4000-8000-000000000001 }
- { name: c, paths: [/c], service: { id: aaaaaaaa-0000-4000-8000-000000000001 } }
- { name: d, paths: [/d], service: { name: s } }
`)
  for (const { service } of routes!) assert.deepEqual(service, { id: services![0].id })
  assert.equal(services![0].id, 'aaaaaaaa-0000-4000-8000-000000000001')
})

test('the same file makes the same ids, other names other ids', () => {
  const file = (name: string): string =>
    `{"_format_version":"3.0","services":[{"name":"${name}","host":"h","routes":[{"paths":["/a"]},{"paths":["/a"]}]}],"upstreams":[{"name":"u","targets":[{"target":"t:1"}]},{"name":"v","targets":[{"target":"t:1"}]}]}`
  const ids = (text: string): string[] =>
    Object.values(entries(text))
      .flat()
      .map(({ id }) => id)
  assert.deepEqual(ids(file('a')), ids(file('a')))
  assert.notEqual(ids(file('a'))[0], ids(file('b'))[0])
  assert.equal(new Set(ids(file('a'))).size, 7)
})

test('what stands further down is written before what points to it', () => {
  const loaded = load(
    '{"_format_version":"3.0","plugins":[{"name":"cors","route":"r"}],"routes":[{"name":"r","paths":["/"],"service":"s"}],"services":[{"name":"s","host":"h"}]}',
  )
  assert.ok(loaded.ok)
  assert.deepEqual(
    loaded.entries.map(({ kind }) => kind),
    ['services', 'routes', 'plugins'],
  )
})

test('passwords are hashed, unless the file says that they are', () => {
  const file = (head: string): string =>
    `{"_format_version":"3.0",${head}"consumers":[{"id":"00000000-0000-4000-8000-000000000001","username":"u","basicauth_credentials":[{"username":"u","password":"p"}]}]}`
  assert.match(entries(file(''))['basicauth_credentials']![0].password, /^[0-9a-f]{40}$/)
  assert.equal(entries(file('"_transform":false,'))['basicauth_credentials']![0].password, 'p')
})

test('formats 1.1 and 2.1 write regexes without a tilde, and plugins with old names', () => {
  const file = (version: string): string =>
    `{"_format_version":"${version}","services":[{"name":"s","host":"h","routes":[{"name":"r","paths":["/a","/b/[0-9]+$","/%61/./c"]}]}],"plugins":[{"name":"ip-restriction","config":{"whitelist":["10.0.0.1"]}}]}`
  for (const version of ['1.1', '2.1']) {
    const { routes, plugins } = entries(file(version))
    assert.deepEqual(routes![0].paths, ['/a', '~/b/[0-9]+$', '/a/c'])
    assert.deepEqual(plugins![0].config.allow, ['10.0.0.1'])
  }
  assert.equal(load(file('3.0')).ok, false)
})

test('paths may be encoded, and are brought into their normal form', () => {
  const { routes } = entries(
    '{"_format_version":"3.0","routes":[{"paths":["/sp%20ace","/caf%c3%a9","/t%65st","/s%2fx","~/rx/caf%C3%A9$"]}]}',
  )
  assert.deepEqual(routes![0].paths, ['/sp ace', '/café', '/test', '/s%2Fx', '~/rx/caf%C3%A9$'])
})

test('notes may stand at any level', () => {
  const { services } = entries(`
_format_version: "3.0"
_comment: the whole file
_ignore: [{ anything: 1 }]
services:
- name: s
  host: h
  _comment: this service
  _ignore: [x]
`)
  assert.equal(services![0].name, 's')
})

test('configurations may be shared, and a plugin wins over what it shares', () => {
  const { plugins } = entries(`
_format_version: "3.0"
_plugin_configs:
  strict: { key_in_query: false, key_names: [a] }
plugins:
- { name: key-auth, _config: strict, config: { key_names: [b] } }
`)
  assert.equal(plugins![0].config.key_in_query, false)
  assert.deepEqual(plugins![0].config.key_names, ['b'])
})

test('groups list their consumers, and consumers their groups', () => {
  const {
    consumer_group_consumers: members,
    consumers,
    consumer_groups: groups,
  } = entries(`
_format_version: "3.0"
consumers:
- username: a
  groups: [{ name: gold }]
- username: b
consumer_groups:
- name: gold
  consumers: [{ username: b }]
`)
  assert.deepEqual(new Set(members!.map(({ consumer }) => consumer.id)), new Set(consumers!.map(({ id }) => id)))
  for (const { consumer_group: group } of members!) assert.equal(group.id, groups![0].id)
})

test('server names may be listed in a certificate, as records or as texts', () => {
  const { certA, keyA } = pair()
  const loaded = loadDeclarative(
    {
      value: {
        _format_version: '3.0',
        certificates: [{ cert: certA, key: keyA, snis: ['a.test', { name: 'b.test' }] }],
      },
    },
    { model, context: testContext() },
  )
  if (certA === null) return assert.equal(loaded.ok, false)
  assert.ok(loaded.ok)
  assert.deepEqual(
    byKind(loaded.entries)['snis']!.map(({ name }) => name),
    ['a.test', 'b.test'],
  )
})

test('a workspace is named once for the whole file, and made when the file does not declare it', () => {
  const {
    services,
    workspaces,
    ca_certificates: ca,
  } = entries('{"_format_version":"3.0","_workspace":"team","services":[{"name":"s","host":"h"}]}')
  assert.equal(workspaces![0].name, 'team')
  assert.equal(services![0].workspace, workspaces![0].id)
  assert.equal(ca, undefined)
})

test('a workspace that can not be is a mistake of the file', () => {
  assert.deepEqual(
    failure('{"_format_version":"3.0","_workspace":"a b"}').problems.map(({ path }) => path),
    ['_workspace'],
  )
})

test('entities may say their workspace each, and names hold within one', () => {
  const text = `
_format_version: "3.0"
workspaces:
- { id: 00000000-0000-4000-8000-000000000001, name: default }
- { id: 00000000-0000-4000-8000-000000000002, name: team }
services:
- { name: s, host: a, ws_id: 00000000-0000-4000-8000-000000000001 }
- { name: s, host: b, ws_id: 00000000-0000-4000-8000-000000000002, routes: [{ name: r, paths: [/] }] }
routes:
- { name: r, paths: [/], service: s, ws_id: 00000000-0000-4000-8000-000000000001 }
`
  const { services, routes, workspaces } = entries(text)
  const [first, second] = services!
  assert.deepEqual([first.workspace, second.workspace], [DEFAULT_WORKSPACE, '00000000-0000-4000-8000-000000000002'])
  assert.deepEqual(
    new Map(routes!.map(({ workspace, service }) => [workspace, service.id])),
    new Map([
      [first.workspace, first.id],
      [second.workspace, second.id],
    ]),
  )
  // The default workspace is always there.
  assert.deepEqual(
    workspaces!.map(({ name }) => name),
    ['team'],
  )
  const undeclared = text.replace('- { id: 00000000-0000-4000-8000-000000000002, name: team }', '')
  assert.match(
    failure(undeclared).problems[0]!.message,
    /^invalid reference 'ws_id: .*' \(no such entry in 'workspaces'\)$/,
  )
})

test('names from the prototype of objects are unknown fields', () => {
  assert.deepEqual(
    failure('{"_format_version":"3.0","__proto__":[],"services":[{"host":"h","__proto__":{"port":1}}]}').problems.map(
      ({ path }) => path,
    ),
    ['__proto__', 'services[0].__proto__'],
  )
})

test('every mistake is told at once, with its line and path', () => {
  const { problems } = failure(
    `_format_version: "3.0"
services:
- name: s
  port: 70000
  routes:
  - name: r
    paths:
    - /ok
    - /a//b
- name: t
  host: h
  plugins:
  - name: nope
routes:
- name: x
  service: missing
  paths: [/]
consumers:
- {}
`,
    'kong.yaml',
  )
  assert.deepEqual(problems.map(describeProblem), [
    'kong.yaml:3: services[0].host: required field missing',
    'kong.yaml:4: services[0].port: value should be between 0 and 65535',
    'kong.yaml:9: services[0].routes[0].paths[1]: must not have empty segments',
    "kong.yaml:13: services[1].plugins[0].name: plugin 'nope' not enabled; add it to the 'plugins' configuration property",
    "kong.yaml:16: routes[0].service: invalid reference 'service: missing' (no such entry in 'services')",
    "kong.yaml:19: consumers[0]: at least one of these fields must be non-empty: 'custom_id', 'username'",
  ])
})

test('JSON files have lines too', () => {
  const { problems } = failure(
    '{\n "_format_version": "3.0",\n "services": [\n  {"name": "a",\n   "port": 1}]}',
    'kong.json',
  )
  assert.deepEqual(problems.map(describeProblem), ['kong.json:4: services[0].host: required field missing'])
})

test('text that can not be parsed is told with its line', () => {
  const { problems, refusal } = failure('_format_version: "3.0"\nservices:\n- name: a\n   host: b\n', 'kong.yaml')
  assert.equal(problems[0]!.line, 3)
  assert.equal(refusal.code, 14)
  assert.match(String((refusal.fields as any).error), /^failed parsing declarative configuration: 3: /)
  assert.equal(failure('just text').problems[0]!.message, 'expected an object')
})

test('repeated keys, and aliases that grow beyond measure, are refused', () => {
  assert.equal(failure('_format_version: "3.0"\n_format_version: "2.1"').problems[0]!.line, 2)
  const bomb = [
    'a: &a0 [x]',
    ...Array.from({ length: 30 }, (_, i) => `a${i}: &a${i + 1} [*a${i}, *a${i}, *a${i}, *a${i}]`),
  ].join('\n')
  assert.equal(load(bomb).ok, false)
})

test('what is nested too deep is refused, whatever it is written in', () => {
  for (const depth of [200, 100_000]) {
    assert.match(
      failure(`{"_format_version":"3.0","services":${'['.repeat(depth)}${']'.repeat(depth)}}`).problems[0]!.message,
      /^nested deeper/,
    )
    assert.match(failure(`services: ${'['.repeat(depth)}${']'.repeat(depth)}`).problems[0]!.message, /^nested deeper/)
  }
})

test('the words of YAML 1.1 for true and false are understood, and dates stay texts', () => {
  const { services } = entries(
    '_format_version: "3.0"\nservices:\n- {name: s, host: h, enabled: no, tags: [2024-01-01]}',
  )
  assert.equal(services![0].enabled, false)
  assert.deepEqual(services![0].tags, ['2024-01-01'])
})

test('uniqueness holds for every unique field and for fields that are unique together', () => {
  const messages = (text: string): string[] => failure(text).problems.map(({ message }) => message)
  assert.deepEqual(
    messages(
      '{"_format_version":"3.0","consumers":[{"username":"a","custom_id":"x"},{"username":"b","custom_id":"x"}]}',
    ),
    ["uniqueness violation: 'consumers' entity with custom_id set to 'x' already declared"],
  )
  assert.match(
    messages('{"_format_version":"3.0","plugins":[{"name":"cors"},{"name":"cors"}]}')[0]!,
    /^uniqueness violation: 'plugins' entity with name set to 'cors'/,
  )
  assert.match(
    messages(
      '{"_format_version":"3.0","services":[{"id":"00000000-0000-4000-8000-000000000001","host":"a"},{"id":"00000000-0000-4000-8000-000000000001","host":"b"}]}',
    )[0]!,
    /primary key set to/,
  )
})

test('what the gateway once made up is kept', () => {
  const text = '{"_format_version":"3.0","consumers":[{"username":"a","keyauth_credentials":[{}]}]}'
  const first = load(text)
  assert.ok(first.ok)
  const stored = new Map(first.entries.map(({ kind, document }) => [`${kind} ${document.id}`, document]))
  const again = loadDeclarative(
    { text },
    { model, context: testContext({ nowMs: 1_800_000_000_000 }), current: (kind, id) => stored.get(`${kind} ${id}`) },
  )
  assert.ok(again.ok)
  const key = (list: readonly Entry[]): any => byKind(list)['keyauth_credentials']![0]
  assert.equal(key(again.entries).key, key(first.entries).key)
  assert.equal(key(again.entries).created_at, key(first.entries).created_at)
})

test('a plugin that this version can not run is refused by name', () => {
  const few = testModel(pluginSchemas, pluginEntities, ['cors'])
  const loaded = load('{"_format_version":"3.0","plugins":[{"name":"acl","config":{"allow":["a"]}}]}', { model: few })
  assert.ok(!loaded.ok)
  assert.equal(loaded.problems[0]!.message, "plugin 'acl' is not available in this version of Meridian")
})

test('errors can be listed by entity', () => {
  const refused = flattenErrors(
    failure(
      '{"_format_version":"3.0","zzz":[],"services":[{"id":"00000000-0000-4000-8000-000000000001","name":"s","tags":["t"],"port":-1,"routes":[{"name":"r","paths":["/a","b"]}]}],"consumers":[{"custom_id":""}]}',
    ),
  )
  assert.deepEqual(refused.fields, { zzz: 'unknown field' })
  assert.deepEqual(refused.flattened_errors, [
    {
      entity_type: 'service',
      entity_name: 's',
      entity_id: '00000000-0000-4000-8000-000000000001',
      entity_tags: ['t'],
      entity: { id: '00000000-0000-4000-8000-000000000001', name: 's', tags: ['t'], port: -1 },
      errors: [
        { type: 'field', field: 'port', message: 'value should be between 0 and 65535' },
        { type: 'field', field: 'host', message: 'required field missing' },
      ],
    },
    {
      entity_type: 'route',
      entity_name: 'r',
      entity: { name: 'r', paths: ['/a', 'b'], service: { id: '00000000-0000-4000-8000-000000000001' } },
      errors: [{ type: 'field', field: 'paths.2', message: 'should start with: / (fixed path) or ~/ (regex path)' }],
    },
    {
      entity_type: 'consumer',
      entity: { custom_id: '' },
      errors: [
        { type: 'field', field: 'custom_id', message: 'length must be at least 1' },
        { type: 'entity', message: "at least one of these fields must be non-empty: 'custom_id', 'username'" },
      ],
    },
  ])
})

const CORPUS = new URL('../../../../shared/kong-corpus/', import.meta.url)

test(
  'answers what Kong answered to every recorded file',
  { skip: existsSync(CORPUS) ? false : 'the recordings are not here' },
  async (t) => {
    const topic = JSON.parse(readFileSync(new URL('topics/admin-config.json', CORPUS), 'utf8'))
    for (const { name, request, expect } of topic.cases.filter(
      ({ request }: any) => request?.method === 'POST' && (request.json ?? request.body) !== undefined,
    )) {
      await t.test(name, () => {
        const given = request.json ?? request.body
        const text = typeof given === 'string' ? given : given.config
        const loaded = loadDeclarative(text === undefined ? { value: given } : { text }, {
          model,
          context: testContext(),
        })
        assert.equal(loaded.ok ? 201 : 400, expect.status, loaded.ok ? '' : loaded.refusal.message)
        if (loaded.ok) return
        const { message, fields, ...rest } = expect.json
        const { message: ourMessage, fields: ourFields, ...ours } = loaded.refusal
        assert.deepEqual(ours, rest)
        if (typeof message === 'string') assert.equal(ourMessage, message)
        else assert.match(ourMessage, new RegExp(message.$re))
        if (!JSON.stringify(fields).includes('$re')) assert.deepEqual(ourFields, fields)
      })
    }
  },
)

test(
  'every recorded configuration loads, but for the ones with Lua',
  { skip: existsSync(CORPUS) ? false : 'the recordings are not here' },
  () => {
    const files = readdirSync(new URL('topics/', CORPUS)).filter((file) => file !== 'functions.json')
    for (const file of files) {
      const { config, variables = {} } = JSON.parse(readFileSync(new URL(`topics/${file}`, CORPUS), 'utf8'))
      const loaded = loadDeclarative({ value: expand(config, variables) }, { model, context: testContext() })
      assert.ok(loaded.ok, `${file}: ${JSON.stringify(!loaded.ok && loaded.problems.slice(0, 3))}`)
    }
  },
)

/** Ports and run tokens are known only to the runner: each name gets a value of its own. */
function expand(config: unknown, variables: Record<string, string>): unknown {
  const ports = new Map<string, number>()
  const portOf = (name: string): number => {
    if (!ports.has(name)) ports.set(name, 19_301 + ports.size)
    return ports.get(name)!
  }
  return JSON.parse(JSON.stringify(config), (_key, item: unknown) => {
    if (typeof item !== 'string') return item
    const whole = /^\$\{int:(\w+)\}$/.exec(item)
    if (whole !== null) return portOf(whole[1]!)
    return item.replaceAll(/\$\{(uuid:)?([\w.-]+)\}/g, (_all, kind: string | undefined, name: string) =>
      kind === undefined ? (variables[name] ?? String(portOf(name))) : nameBasedUuid(DEFAULT_WORKSPACE, name),
    )
  })
}

function pair(): { certA: string | null; keyA: string | null } {
  const file = new URL('admin-write/certificates.json', CORPUS)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).variables : { certA: null, keyA: null }
}

test('a plugin whose protocols none of its routes speaks is taken: a state can come to that, and then its dump loads', () => {
  const loaded = entries(`
_format_version: "3.0"
services:
- name: s
  host: h
  routes:
  - {name: tcp, protocols: [tcp], destinations: [{port: 1}], plugins: [{name: cors, protocols: [http]}]}
  plugins:
  - {name: correlation-id, protocols: [http]}
`)
  assert.equal(loaded['plugins']?.length, 2)
})
