import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { readMigrations } from '#store/cassandra/migration-files.ts'
import { startGateway } from '../support/gateway.ts'
import { runChild } from '../support/process.ts'
import { startUpstream } from '../support/upstream-server.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const TIMEOUT_MS = 60_000
const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string }

/** A project that has the built package installed, away from the sources and their node_modules. */
const project = mkdtempSync(path.join(tmpdir(), 'meridian-build-'))
const installed = path.join(project, 'node_modules', 'meridian')

async function run(script: string, ...args: string[]): Promise<string> {
  const { code, output } = await runChild({
    command: process.execPath,
    args: [script, ...args],
    cwd: project,
    timeoutMs: TIMEOUT_MS,
  })
  assert.equal(code, 0, output)
  return output
}

before(async () => {
  mkdirSync(path.dirname(installed))
  await run(path.join(ROOT, 'src', 'install', 'build.ts'), '--out', installed)
})
after(() => rmSync(project, { recursive: true, force: true }))

test('the built package says its version', async () => {
  assert.match(await run(path.join(installed, 'main.js'), '--version'), new RegExp(version.replaceAll('.', '\\.')))
})

test('the built package has the migrations of Cassandra', () => {
  assert.deepEqual(readMigrations(path.join(installed, 'cql')), readMigrations())
})

test('the built package proxies without any dependency installed', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startGateway({
    script: [path.join(installed, 'main.js'), 'start'],
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${upstream.port}`, routes: [{ paths: ['/'] }] }],
    },
  })
  const response = await fetch(`${gateway.proxyUrl}/hello`)
  assert.partialDeepStrictEqual(await response.json(), { method: 'GET', target: '/hello' })
})

test('the built package has the library that reads schemas, in a file of its own', async () => {
  await using upstream = await startUpstream()
  const plugins = [{ name: 'request-validator', config: { version: 'draft4', body_schema: '{"type":"object"}' } }]
  await using gateway = await startGateway({
    script: [path.join(installed, 'main.js'), 'start'],
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${upstream.port}`, routes: [{ paths: ['/'], plugins }] }],
    },
  })
  const headers = { 'content-type': 'application/json' }
  const statusOf = async (body: string) => (await fetch(gateway.proxyUrl, { method: 'POST', body, headers })).status
  assert.deepEqual([await statusOf('{}'), await statusOf('[]')], [200, 400])
})

test("an operator's plugin in TypeScript imports meridian/pdk and is checked against its types", async () => {
  const plugin = path.join(project, 'plugin.ts')
  writeFileSync(
    plugin,
    `import { definePlugin, definePluginSchema, t } from 'meridian/pdk'
     console.log(typeof definePlugin, typeof definePluginSchema, typeof t.string)`,
  )
  assert.equal((await run(plugin)).trim(), 'function function function')

  symlinkSync(path.join(ROOT, 'node_modules', '@types'), path.join(project, 'node_modules', '@types'))
  const compilerOptions = { module: 'nodenext', target: 'esnext', strict: true, noEmit: true, types: ['node'] }
  writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['plugin.ts'] }))
  const compiler = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  await run(compiler, '-p', project)

  writeFileSync(plugin, `import { definePlugin } from 'meridian/pdk'\nexport const wrong: number = definePlugin`)
  const { code, output } = await runChild({
    command: process.execPath,
    args: [compiler, '-p', project],
    timeoutMs: TIMEOUT_MS,
  })
  assert.notEqual(code, 0)
  assert.match(output, /plugin\.ts\(2,14\): error TS2322/)
})

test('the package passes on the licenses of what it bundles', () => {
  const text = readFileSync(path.join(installed, 'THIRD-PARTY-LICENSES.txt'), 'utf8')
  for (const name of ['pino', 'dns-packet']) assert.ok(text.includes(`\n${name} `), `${name} is missing`)
  assert.match(text, /permission is hereby granted/i)
  assert.ok(existsSync(path.join(installed, 'LICENSE')))
})
