import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { openPluginLoader } from '#pdk/loader.ts'
import { builtPlugins } from '#plugins/index.ts'
import { pluginSchemas } from '#plugins/schemas.ts'
import { blocksOf, runPage, type PageRun } from '../support/doc-page.ts'
import { runChild } from '../support/process.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const EXAMPLES = path.join(ROOT, 'docs', 'plugins', 'examples')
const HOUR_MS = 3_600_000
const BUILD_MS = 60_000

/** The package as it is published: what the pages are for, and started in half the time of the sources. */
const PACKAGE = mkdtempSync(path.join(tmpdir(), 'meridian-docs-'))
const MAIN = path.join(PACKAGE, 'main.js')

before(async () => {
  const args = [path.join(ROOT, 'src', 'install', 'build.ts'), '--out', PACKAGE]
  const { code, output } = await runChild({ command: process.execPath, args, timeoutMs: BUILD_MS })
  assert.equal(code, 0, output)
})
after(() => rmSync(PACKAGE, { recursive: true, force: true }))

const PAGES = ['README.md', ...globSync('docs/plugins/*.md', { cwd: ROOT }).toSorted()].filter((page) =>
  blocksOf(readFileSync(path.join(ROOT, page), 'utf8')).some(
    ({ language, text }) => language === 'yaml' || (language === 'console' && /^\$ curl /m.test(text)),
  ),
)

for (const page of PAGES) {
  test(`the commands of ${page} answer what it shows`, { skip: missingProgram(page) }, async () => {
    const { problems, commands } = await runWithinAnHour(page)
    assert.ok(commands > 0, 'the page shows no command')
    assert.deepEqual(problems, [])
  })
}

/** A program that only this page's commands need, when this machine has it not. */
function missingProgram(page: string): string | false {
  const usesOpenssl = readFileSync(path.join(ROOT, page), 'utf8').includes('openssl ')
  return usesOpenssl && spawnSync('openssl', ['version']).error !== undefined ? 'there is no openssl' : false
}

/** Pages count requests in windows of an hour: one that began meanwhile makes another count, once. */
async function runWithinAnHour(page: string): Promise<PageRun> {
  const hour = () => Math.floor(Date.now() / HOUR_MS)
  const before = hour()
  const run = await runPage(page, [MAIN, 'start'])
  return run.problems.length === 0 || hour() === before ? run : runPage(page, [MAIN, 'start'])
}

test('the list of plugins names each page, and each page is of a plugin that there is', () => {
  const pages = globSync('*.md', { cwd: path.dirname(EXAMPLES) }).filter((page) => !/^(README|writing)\.md$/.test(page))
  const list = readFileSync(path.join(path.dirname(EXAMPLES), 'README.md'), 'utf8')
  const built = builtPlugins.map(({ schema }) => `${schema.name}.md`)
  assert.deepEqual(
    pages.filter((page) => !list.includes(`](${page})`) || !built.includes(page)),
    [],
  )
})

test('each plugin of Kong, and each that there is, is compared with Kong', () => {
  const page = readFileSync(path.join(ROOT, 'docs', 'compatibility.md'), 'utf8')
  const [, table = ''] = /^## Plugin by plugin$[\s\S]*?^\|-.*$([\s\S]*?)^## /m.exec(page) ?? []
  const rows = [...table.matchAll(/^\| (?:\[([\w-]+)\]\(plugins\/\1\.md\)|([\w-]+)) \| (.+?) \|/gm)]
  const named = (isBuilt: boolean) =>
    rows.filter(([, , , how]) => how!.startsWith('not here') !== isBuilt).map(([, linked, bare]) => linked ?? bare)
  const built = builtPlugins.map(({ schema }) => schema.name)
  assert.deepEqual(named(true), built.toSorted())
  const known = pluginSchemas.map(({ name }) => name)
  assert.deepEqual(named(false), known.filter((name) => !built.includes(name)).toSorted())
})

test('the page on writing plugins shows the example as it stands', () => {
  const page = readFileSync(path.join(ROOT, 'docs', 'plugins', 'writing.md'), 'utf8')
  const shown = blocksOf(page).filter(({ language }) => language === 'ts')
  const files = ['sunset.ts', 'sunset.test.ts'].map((file) => readFileSync(path.join(EXAMPLES, file), 'utf8'))
  assert.deepEqual(
    shown.map(({ text }) => text),
    files,
  )
})

// Its own tests run here, too: they import the kit by the name that it has for operators.
const loader = openPluginLoader()
await import(path.join(EXAMPLES, 'sunset.test.ts'))
loader.close()
