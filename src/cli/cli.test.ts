import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { parseAccessList } from '#admin/tokens.ts'
import { errors } from '#core/errors.ts'
import { runCli } from './cli.ts'
import type { CliContext, DeclarativeVerdict } from './command.ts'
import { commands } from './commands.ts'
import { exitCodeOf, exitCodes } from './exit-code.ts'
import { cliReference } from './help.ts'

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cli-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command line in a folder of its own. */
async function run(context: TestContext, words: readonly string[], options: Partial<CliContext> = {}): Promise<Ran> {
  let out = ''
  let err = ''
  const code = await runCli(words, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    environment: {},
    workingFolder: options.workingFolder ?? folderFor(context),
    cores: 2,
    version: '0.1.0',
    run: () => assert.fail('nothing is to be started'),
    checkDeclarative: () => assert.fail('nothing is to be checked'),
    openCassandra: () => assert.fail('nothing is to be connected to'),
    ...options,
  })
  return { code, out, err }
}

test('help and version answer everywhere', async (context) => {
  for (const words of [['--help'], ['help'], ['-h']])
    assert.match((await run(context, words)).out, /^Usage: meridian COMMAND/)
  for (const words of [['version'], ['--version'], ['-v']])
    assert.match((await run(context, words)).out, /^Meridian 0\.1\.0 \(Node v/)
  assert.partialDeepStrictEqual(JSON.parse((await run(context, ['version', '--json'])).out), { version: '0.1.0' })
  for (const { name } of commands) {
    const { code, out } = await run(context, [...name.split(' '), '--help'])
    assert.deepEqual([code, out.split('\n')[0]?.startsWith(`Usage: meridian ${name}`)], [0, true])
  }
})

test('a wrong command line says what is wrong, and exits with 2', async (context) => {
  const cases: [string[], RegExp][] = [
    [[], /^Usage/],
    [['strat'], /unknown command 'strat'; did you mean 'start'\?/],
    [['config', 'foo'], /unknown command 'config foo'; there is config validate, config parse/],
    [['tea'], /unknown command 'tea'\n/],
    [['stop', 'now'], /stop: expected no arguments, got now/],
    [['rollback'], /rollback: expected REVISION, got none/],
    [['stop', '--tea'], /stop: Unknown option '--tea'/],
    [['stop', '--timeout'], /stop: .*argument missing/],
    [['rollback', 'last'], /expected a revision, which is a number, got 'last'/],
    [['route', 'explain', '/path'], /expected a URL such as/],
    [['log', '--admin', 'localhost:8001'], /expected http:/],
  ]
  for (const [words, expected] of cases) {
    const { code, err, out } = await run(context, words)
    assert.equal(code, exitCodes.usage, words.join(' '))
    assert.match(err, expected)
    assert.equal(out, '')
  }
})

test('settings with errors are told in full, for people and for scripts', async (context) => {
  const workingFolder = folderFor(context)
  writeFileSync(path.join(workingFolder, 'meridian.conf'), 'workers = none\nproxy_lsiten = off\n')
  const { code, err } = await run(context, ['stop'], { workingFolder })
  assert.equal(code, exitCodes.invalid)
  assert.match(err, /the settings have 2 errors\n {2}meridian\.conf:1: workers: .*\n {2}meridian\.conf:2: unknown key/)
  const json = JSON.parse((await run(context, ['stop', '--json'], { workingFolder })).err) as {
    code: string
    details: string[]
  }
  assert.deepEqual([json.code, json.details.length], ['SETTINGS_INVALID', 2])
})

test('a settings file that is named must be there; the default one need not', async (context) => {
  assert.equal((await run(context, ['stop'])).code, exitCodes.unreachable)
  assert.match(
    (await run(context, ['stop', '--conf', 'other.conf'])).err,
    /other\.conf: expected a settings file that can be read \(ENOENT\)/,
  )
  const environment = { MERIDIAN_CONF: 'other.conf' }
  assert.match((await run(context, ['stop'], { environment })).err, /other\.conf: expected a settings file/)
})

test('under npm, files are looked for where the operator typed', async (context) => {
  const [workingFolder, typedIn] = [folderFor(context), folderFor(context)]
  writeFileSync(path.join(typedIn, 'mine.conf'), 'workers = none')
  const environment = { npm_lifecycle_event: 'start', INIT_CWD: typedIn }
  assert.match(
    (await run(context, ['stop', '-c', 'mine.conf'], { workingFolder, environment })).err,
    /workers: expected/,
  )
})

test('a failure that nobody foresaw is shown with its stack', async (context) => {
  const file = path.join(folderFor(context), 'kong.yml')
  writeFileSync(file, '')
  const { code, err } = await run(context, ['config', 'validate', file], {
    checkDeclarative: () => Promise.reject(new TypeError('boom')),
  })
  assert.equal(code, exitCodes.failed)
  assert.match(err, /mistake in the program\nTypeError: boom\n {4}at /)
})

test('config validate tells what a file holds, or every error', async (context) => {
  const workingFolder = folderFor(context)
  writeFileSync(path.join(workingFolder, 'kong.yml'), '_format_version: "3.0"')
  const verdicts: DeclarativeVerdict[] = [
    { ok: true, counts: { services: 2, routes: 1 } },
    {
      ok: false,
      problems: [
        'kong.yml:3: services[0].port: expected 0..65535, got 70000',
        'kong.yml:9: plugins[0].name: expected a plugin',
      ],
    },
  ]
  let seen: unknown
  const checkDeclarative: CliContext['checkDeclarative'] = (_read, file) => {
    seen = file
    return Promise.resolve(verdicts.shift()!)
  }
  const valid = await run(context, ['config', 'validate', 'kong.yml'], { workingFolder, checkDeclarative })
  assert.deepEqual([valid.code, valid.out], [0, 'kong.yml is valid: 2 services, 1 routes\n'])
  assert.deepEqual(seen, { path: 'kong.yml', text: '_format_version: "3.0"' })
  const invalid = await run(context, ['config', 'parse', 'kong.yml'], { workingFolder, checkDeclarative })
  assert.equal(invalid.code, exitCodes.invalid)
  assert.match(invalid.err, /kong\.yml has 2 errors\n {2}kong\.yml:3: .*\n {2}kong\.yml:9: /)
  assert.match(
    (await run(context, ['config', 'validate', 'none.yml'], { workingFolder })).err,
    /none\.yml: expected a file that can be read \(ENOENT\)/,
  )
})

interface Asked {
  readonly method: string
  readonly url: string
  readonly token: string | undefined
  readonly body: string
}

/** An Admin API that answers what it is told to. */
async function fakeAdmin(
  context: TestContext,
  answers: Readonly<Record<string, readonly [status: number, body: unknown]>>,
) {
  const asked: Asked[] = []
  const server = createServer((request: IncomingMessage, response) => {
    let body = ''
    request.on('data', (bytes: Buffer) => (body += bytes.toString()))
    request.on('end', () => {
      asked.push({
        method: request.method!,
        url: request.url!,
        token: request.headers['kong-admin-token'] as string | undefined,
        body,
      })
      const [status, answer] = answers[request.url!] ??
        answers[request.url!.split('?')[0]!] ?? [404, { message: 'Not found' }]
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  return { asked, port: (server.address() as AddressInfo).port }
}

test('log shows revisions as a table, one in full, and differences', async (context) => {
  const entry = {
    revision: 7,
    at: '2026-11-21T09:17:52.000Z',
    actor: 'ci',
    via: 'admin',
    changes: Array.from({ length: 5 }, (_, at) => ({ action: 'create', kind: 'services', id: `s${at}` })),
  }
  const { port, asked } = await fakeAdmin(context, {
    '/log': [200, { data: [entry] }],
    '/log/7': [200, entry],
    '/log/diff': [200, { changes: [] }],
  })
  const environment = { MERIDIAN_ADMIN_LISTEN: `127.0.0.1:${port}`, MERIDIAN_ADMIN_TOKEN: 'secret' }
  const { out } = await run(context, ['log', '--size', '5'], { environment })
  assert.match(
    out,
    /^REVISION +AT +BY +VIA +CHANGES\n7 +2026-11-21T09:17:52\.000Z +ci +admin +create services s0, .*s2, and 2 more\n$/,
  )
  assert.deepEqual(asked[0], { method: 'GET', url: '/log?size=5', token: 'secret', body: '' })
  assert.partialDeepStrictEqual(JSON.parse((await run(context, ['log', '7'], { environment })).out), { revision: 7 })
  await run(context, ['log', 'diff', '3', '7'], { environment })
  await run(context, ['log', 'diff', '3'], { environment })
  assert.deepEqual(
    asked.slice(2).map(({ url }) => url),
    ['/log/diff?from=3&to=7', '/log/diff?from=3'],
  )
})

test('rollback asks for the revision, and exits with 5 when it is refused', async (context) => {
  const answers: Record<string, [number, unknown]> = { '/log/rollback': [200, { changes: 3 }] }
  const { port, asked } = await fakeAdmin(context, answers)
  const words = ['rollback', '4', '--admin', `http://127.0.0.1:${port}/`]
  assert.match((await run(context, words)).out, /revision 4: 3 changes/)
  assert.deepEqual([asked[0]!.method, asked[0]!.body], ['POST', '{"revision":4}'])
  answers['/log/rollback'] = [410, { message: 'cut by retention' }]
  const refused = await run(context, words)
  assert.deepEqual([refused.code, /answered 410: cut by retention/.test(refused.err)], [exitCodes.refused, true])
})

test('an Admin API that does not answer is exit code 4', async (context) => {
  const { code, err } = await run(context, ['status', '--admin', 'http://127.0.0.1:9'])
  assert.equal(code, exitCodes.unreachable)
  assert.match(err, /http:\/\/127\.0\.0\.1:9 does not answer/)
})

test('cache purge says what is to be dropped, and exits with 5 when it is refused', async (context) => {
  const answers: Record<string, [number, unknown]> = { '/proxy-cache/purge': [204, ''] }
  const { port, asked } = await fakeAdmin(context, answers)
  const purge = (...words: string[]) =>
    run(context, ['cache', 'purge', '--admin', `http://127.0.0.1:${port}`, ...words])
  assert.deepEqual(await purge('--tag', 'a', '--tag', 'b', '--path-prefix', 'shop.test/x'), {
    code: 0,
    out: 'Purged.\n',
    err: '',
  })
  const body = { tags: ['a', 'b'], prefixes: ['shop.test/x'], keys: [], everything: false }
  assert.deepEqual(JSON.parse(asked[0]!.body), body)
  answers['/proxy-cache/purge'] = [429, { message: 'too many names are purged' }]
  const refused = await purge('--everything')
  assert.deepEqual([refused.code, /too many names are purged/.test(refused.err)], [exitCodes.refused, true])
})

test('route explain describes the request as curl would send it', async (context) => {
  const { port, asked } = await fakeAdmin(context, { '/debug/route': [200, { matched: null }] })
  const words = [
    'route',
    'explain',
    '-X',
    'POST',
    '-H',
    'X-A: 1',
    '-H',
    'Host: b.example',
    '--admin',
    `http://127.0.0.1:${port}`,
    'https://a.example:8443/p?q=1',
  ]
  assert.deepEqual(JSON.parse((await run(context, words)).out), { matched: null })
  const query = Object.fromEntries(new URL(asked[0]!.url, 'http://x').searchParams)
  assert.deepEqual(query, {
    method: 'POST',
    scheme: 'https',
    host: 'b.example',
    path: '/p?q=1',
    sni: 'a.example',
    'header.X-A': '1',
  })
})

/** What the Admin API says of two data centers. */
const twoDataCenters = {
  revision: 8,
  data_centers: [
    {
      name: 'dc1',
      nodes: [
        listed({ node_id: 'n1', hostname: 'a', address: '10.0.0.1:8001', revision: 8, requests_per_second: 12.5 }),
        listed({ node_id: 'n2', hostname: 'b', address: '10.0.0.2:8001', revision: 5, lag: 3, state: 'draining' }),
      ],
    },
    { name: 'dc2', nodes: [listed({ node_id: 'n3', hostname: 'c', revision: -1, lag: 8, state: 'down' })] },
  ],
}

function listed(node: object) {
  const rest = { is_self: false, state: 'ready', address: null, lag: 0, version: '0.1.0', workers: 2 }
  return { ...rest, requests_per_second: 0, started_at: '2026-11-21T09:17:52.000Z', ...node }
}

test('status shows the nodes of each data center as nodetool does', async (context) => {
  const { port } = await fakeAdmin(context, {
    '/cluster/nodes': [200, twoDataCenters],
    '/': [200, { meridian: { warnings: ['TCP routes are not served yet'] } }],
  })
  const words = ['status', '--admin', `http://127.0.0.1:${port}`]
  const { out } = await run(context, words)
  const lines = out.replaceAll(/ {2,}/g, '  ').split('\n')
  assert.deepEqual(lines, [
    'Datacenter: dc1',
    '===============',
    'Status=Up/Down/?=not known',
    '|/ State=Normal/Starting/Draining',
    '--  Address  Revision  Lag  Load  Workers  Version  Host  Node',
    'UN  10.0.0.1:8001  8  0  12.5 req/s  2  0.1.0  a  n1',
    'UD  10.0.0.2:8001  5  3  0 req/s  2  0.1.0  b  n2',
    '',
    'Datacenter: dc2',
    '===============',
    'Status=Up/Down/?=not known',
    '|/ State=Normal/Starting/Draining',
    '--  Address  Revision  Lag  Load  Workers  Version  Host  Node',
    'D-  -  -  8  0 req/s  2  0.1.0  c  n3',
    '',
    'Newest revision: 8',
    'warning: TCP routes are not served yet',
    '',
  ])
  assert.partialDeepStrictEqual(JSON.parse((await run(context, [...words, '--json'])).out), {
    revision: 8,
    data_centers: [{ name: 'dc1', nodes: [{ state: 'ready' }, { lag: 3 }] }, { name: 'dc2' }],
    warnings: ['TCP routes are not served yet'],
  })
})

test('nodes lists them all, one a line', async (context) => {
  const { port } = await fakeAdmin(context, { '/cluster/nodes': [200, twoDataCenters] })
  const words = ['nodes', '--admin', `http://127.0.0.1:${port}`]
  const lines = (await run(context, words)).out.trim().split('\n')
  assert.match(lines[2]!, /^n2 +dc1 +b +10\.0\.0\.2:8001 +draining +5 +3 +0\.1\.0 +2026-11-21T09:17:52\.000Z$/)
  assert.match(lines[3]!, /^n3 +dc2 +c +- +down +- +8 /)
  assert.partialDeepStrictEqual(JSON.parse((await run(context, [...words, '--json'])).out), {
    nodes: [{ node_id: 'n1', data_center: 'dc1' }, {}, { node_id: 'n3', data_center: 'dc2' }],
  })
})

test('wait exits with 0 when every node serves the revision, with a code of its own and a list when some lag', async (context) => {
  const nodes = [
    { node_id: 'n1', hostname: 'a', data_center: 'dc1', revision: 8 },
    { node_id: 'n2', hostname: 'b', data_center: 'dc2', revision: 5 },
  ]
  const { port, asked } = await fakeAdmin(context, {
    '/cluster/revision': [200, { revision: 8, nodes, lagging: ['n2'], down: [] }],
    '/cluster/revision?wait=5&timeout=30.000': [400, { message: 'too long' }],
    '/cluster/revision?wait=5&timeout=10.000': [200, { revision: 8, nodes, lagging: [], down: ['n3'] }],
    '/cluster/revision?wait=8&timeout=0.000': [409, { message: '', revision: 8, nodes, lagging: ['n2'], down: [] }],
  })
  const wait = (...words: string[]) => run(context, ['wait', '--admin', `http://127.0.0.1:${port}`, ...words])
  const served = await wait('--revision', '5', '--timeout', '10')
  assert.deepEqual(
    [served.code, served.out.split('\n')[0]],
    [exitCodes.done, 'Every node that is up (2) serves revision 5.'],
  )
  assert.match(served.out, /because down: n3\n$/)
  const late = await wait('--timeout', '0')
  assert.deepEqual([late.code, asked.at(-2)?.url], [exitCodes.lagging, '/cluster/revision'])
  assert.match(late.out, /^Of 2 nodes 1 can not be seen to serve revision 8:\nNODE.*\nn2 +dc2 +b +5\n$/)
  const asJson = await wait('--revision', '8', '--timeout', '0s', '--json')
  assert.partialDeepStrictEqual(JSON.parse(asJson.out), { served: false, lagging: ['n2'] })
  for (const words of [
    ['--revision', 'x'],
    ['--timeout', 'soon'],
  ])
    assert.equal((await wait(...words)).code, exitCodes.usage)
})

test('token create prints the token once and keeps only its hash', async (context) => {
  const workingFolder = folderFor(context)
  const environment = { MERIDIAN_ADMIN_TOKEN_FILE: 'tokens' }
  const { out, code } = await run(context, ['token', 'create', 'ci', '--role', 'editor'], {
    workingFolder,
    environment,
  })
  assert.equal(code, 0)
  const text = readFileSync(path.join(workingFolder, 'tokens'), 'utf8')
  assert.ok(!text.includes(out.trim()))
  const parsed = parseAccessList(text)
  assert.ok(parsed.ok)
  assert.deepEqual(parsed.list.byToken(out.trim(), 0), { name: 'ci', role: 'editor' })
  assert.match((await run(context, ['token', 'create', 'x'])).err, /"sha256":/)
  assert.equal((await run(context, ['token', 'create', 'x', '--role', 'king'])).code, exitCodes.usage)
})

test('every error code leads to a documented exit code, and the page names all commands and codes', () => {
  const known = Object.values(exitCodes) as number[]
  for (const code of Object.keys(errors) as (keyof typeof errors)[]) assert.ok(known.includes(exitCodeOf(code)), code)
  const page = cliReference()
  for (const { name } of commands) assert.ok(page.includes(`## meridian ${name}\n`), name)
  for (const code of known) assert.ok(page.includes(`| ${code} | `), String(code))
})

test('no two options of a command have one letter, and every command says what it does', () => {
  for (const { name, about, options } of commands) {
    const letters = Object.values(options).flatMap(({ short }) => (short === undefined ? [] : [short]))
    assert.equal(new Set(letters).size, letters.length, name)
    assert.match(about, /\.$/, name)
    for (const option of Object.values(options)) assert.match(option.about, /\.$/, name)
  }
})
