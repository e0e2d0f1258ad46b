/** Kong's own declarative engine against the Admin API: what it writes it must read back without a difference. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { generate } from 'selfsigned'
import type { Program } from '../support/debian-part.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { runChild } from '../support/process.ts'

const TIMEOUT_MS = 120_000

interface Changes {
  readonly created: number
  readonly updated: number
  readonly deleted: number
  /** One line for each, for updates with both sides. */
  readonly changes: readonly string[]
}

const NONE: Changes = { created: 0, updated: 0, deleted: 0, changes: [] }

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)
const tags = (n: number) => ['made-by-test', `group-${n % 7}`]

/** One of each kind of plugin by turns, with settings that differ from their defaults. */
const pluginConfigs: readonly { readonly name: string; readonly config: object }[] = [
  { name: 'key-auth', config: { key_names: ['apikey', 'x-api-key'], hide_credentials: true } },
  { name: 'acl', config: { allow: ['group-0', 'group-1'] } },
  { name: 'cors', config: { origins: ['https://page.example.test'], credentials: true, max_age: 3600 } },
  { name: 'correlation-id', config: { header_name: 'X-Correlation', generator: 'tracker', echo_downstream: true } },
  { name: 'rate-limiting', config: { policy: 'local', minute: 20, hour: 500 } },
  { name: 'request-termination', config: { status_code: 403, message: 'Closed' } },
  { name: 'request-transformer', config: { add: { headers: ['X-A: 1'] }, remove: { querystring: ['debug'] } } },
]

/** 500 entities of every kind that the engine knows and this version has. */
async function declarativeFile(): Promise<object> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'shop.example.test' }], {
    keyType: 'ec',
    algorithm: 'sha256',
  })
  const plugin = (n: number) => ({ ...pluginConfigs[n % pluginConfigs.length], tags: tags(n) })
  return {
    _format_version: '3.0',
    services: numbers(100).map((n) => ({
      name: `service-${n}`,
      host: n < 20 ? `upstream-${n}` : `service-${n}.example.test`,
      port: 8000 + n,
      protocol: n % 5 === 0 ? 'https' : 'http',
      path: n % 3 === 0 ? `/base-${n}` : undefined,
      retries: n % 4,
      connect_timeout: 1000 + n,
      tags: tags(n),
      plugins: n < 30 ? [plugin(n)] : [],
      routes: numbers(n < 50 ? 2 : 1).map((r) => ({
        name: `route-${n}-${r}`,
        paths: [`/path-${n}/${r}`, `~/regex-${n}/(?<id>\\d+)$`],
        hosts: [`host-${n}.example.test`, '*.wild.example.test'],
        methods: r === 0 ? ['GET', 'POST'] : undefined,
        headers: n % 10 === 0 ? { 'x-version': ['1', '2'] } : undefined,
        strip_path: n % 2 === 0,
        preserve_host: n % 3 === 0,
        regex_priority: n % 5,
        https_redirect_status_code: 426,
        tags: tags(n + r),
        plugins: n < 29 && r === 0 ? [plugin(n + 3)] : [],
      })),
    })),
    consumers: numbers(40).map((n) => ({
      username: `consumer-${n}`,
      custom_id: n % 2 === 0 ? `custom-${n}` : undefined,
      tags: tags(n),
      keyauth_credentials: [{ key: `key-of-consumer-${n}` }],
      acls: [{ group: `group-${n % 3}` }],
    })),
    upstreams: numbers(20).map((n) => ({
      name: `upstream-${n}`,
      ...[
        { algorithm: 'round-robin' },
        { algorithm: 'least-connections' },
        { algorithm: 'consistent-hashing', hash_on: 'header', hash_on_header: 'x-user' },
      ][n % 3],
      slots: 100 + n,
      targets: numbers(2).map((t) => ({ target: `10.0.${n}.${t + 1}:8080`, weight: 100 + t })),
      healthchecks: { passive: { unhealthy: { http_failures: n } } },
    })),
    certificates: [{ id: '6a1b2c3d-0000-4000-8000-000000000001', cert, key, snis: [{ name: 'shop.example.test' }] }],
    plugins: [{ name: 'prometheus', config: { per_consumer: true } }],
    vaults: numbers(8).map((n) => ({ name: 'env', prefix: `vault-${n}`, config: { prefix: `TEST_${n}_` } })),
  }
}

const ENTITIES = 100 + 150 + 30 + 29 + 40 * 3 + 20 + 40 + 2 + 1 + 8

interface Reconciler {
  readonly run: (command: 'diff' | 'sync' | 'reset', file?: string) => Promise<Changes>
  readonly dump: (file: string) => Promise<void>
}

function createReconciler(program: Program, gateway: Gateway): Reconciler {
  const call = async (...args: string[]) => {
    const { code, output } = await runChild({
      command: program.command,
      args: [gateway.adminUrl, ...args],
      timeoutMs: TIMEOUT_MS,
    })
    assert.equal(code, 0, output)
    return output
  }
  return {
    run: async (command, file) => JSON.parse(await call(command, ...(file === undefined ? [] : [file]))) as Changes,
    dump: async (file) => void (await call('dump', file)),
  }
}

test('500 entities are synced by the engine and read back without a difference, also from a dump; a reset removes all', async (t) => {
  const program = await requirePart(t, 'reconciler')
  if (!program) return
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-reconciler-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'wanted.json')
  const dump = path.join(folder, 'dump.yaml')
  writeFileSync(file, JSON.stringify(await declarativeFile()))
  await using gateway = await startGateway({ database: 'sqlite' })
  const reconciler = createReconciler(program, gateway)

  const first = await reconciler.run('sync', file)
  assert.deepEqual([first.created, first.updated, first.deleted], [ENTITIES, 0, 0])
  assert.deepEqual(await reconciler.run('diff', file), NONE)
  assert.deepEqual(await reconciler.run('sync', file), NONE)

  await reconciler.dump(dump)
  assert.deepEqual(await reconciler.run('diff', dump), NONE)

  assert.equal((await reconciler.run('reset')).deleted, ENTITIES)
  assert.equal((await reconciler.run('sync', dump)).created, ENTITIES)
  assert.deepEqual(await reconciler.run('diff', file), NONE)
})
