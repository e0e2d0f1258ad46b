/**
 * What a real Kong answered over its Admin API, asked of the Admin API alone, in this process: over the memory store, with the
 * schema of every plugin, so that it is judged also where plugins are not built yet.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { builtPlugins } from '#plugins/index.ts'
import { pluginSchemas } from '#plugins/schemas.ts'
import { openTestAdmin, type TestAdminOptions } from '../support/admin.ts'
import { type CaseResult, judge, readAcceptedDifferences, runAdminCorpus, runProxyCorpus } from '../support/corpus.ts'
import { requirePart } from '../support/parts.ts'

const PAGE = path.resolve(import.meta.dirname, '..', '..', 'docs', 'compatibility.md')
const CASES = 262
const MOST_DIFFERENCES = 5

/** The runner sends this name in Host. */
const guard = { origins: [], hosts: ['gw.test'] }

async function replay(corpus: string, options: TestAdminOptions): Promise<CaseResult[]> {
  await using admin = await openTestAdmin({ ...options, overrides: { guard } })
  // There is no proxy: no step of these sequences asks one.
  return await runAdminCorpus(corpus, { adminUrl: admin.url, proxyUrl: admin.url })
}

test('every recorded sequence of Admin API calls is answered as Kong did', async (t) => {
  const corpus = await requirePart(t, 'kong-corpus')
  if (!corpus) return
  const accepted = readAcceptedDifferences(PAGE, 'admin')
  const results = await replay(corpus, {})
  const { unexpected, obsolete } = judge(results, accepted)
  assert.deepEqual(unexpected, [], `${unexpected.length} cases differ from Kong`)
  assert.deepEqual(obsolete, [], 'docs/compatibility.md promises differences that are gone')
  assert.equal(results.length, CASES)
  assert.ok(accepted.length <= MOST_DIFFERENCES)
})

test('with the plugins that are built, only the cases about other plugins differ more', async (t) => {
  const corpus = await requirePart(t, 'kong-corpus')
  if (!corpus) return
  const built = builtPlugins.map(({ schema }) => schema.name)
  const later = readAcceptedDifferences(PAGE, 'later').filter(({ topic }) => topic.startsWith('admin-'))
  for (const { topic, name } of later) {
    assert.ok(namesOtherPlugin(corpus, topic, name, built), `${topic} | ${name} needs no plugin that is not built`)
  }
  const { unexpected } = judge(await replay(corpus, { built }), [...readAcceptedDifferences(PAGE, 'admin'), ...later])
  assert.deepEqual(unexpected, [], `${unexpected.length} cases differ that are not about plugins that are not built`)
})

test('without a database everything is read, checked and loaded as Kong does', async (t) => {
  const corpus = await requirePart(t, 'kong-corpus')
  if (!corpus) return
  await using admin = await openTestAdmin({ isDatabase: false, overrides: { guard } })
  const urls = { adminUrl: admin.url, proxyUrl: admin.url, tlsUrl: admin.url }
  const results = await runProxyCorpus(corpus, urls, { topics: ['admin-config', 'admin-read', 'admin-validate'] })
  const { unexpected, passed } = judge(results, readAcceptedDifferences(PAGE, 'proxy'))
  assert.deepEqual(unexpected, [], `${unexpected.length} cases differ from Kong`)
  assert.ok(passed > 250)
})

interface Topic {
  readonly topic: string
  readonly cases: readonly { readonly name: string; readonly steps: unknown }[]
}

/** Whether a case speaks of a plugin, or of a table of one, that is not built. */
function namesOtherPlugin(corpus: string, topic: string, name: string, built: readonly string[]): boolean {
  const folders = ['admin-write', 'topics'].map((folder) => path.join(corpus, folder))
  const files = folders.flatMap((folder) => readdirSync(folder).map((file) => path.join(folder, file)))
  const topics = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Topic)
  const found = topics.find((one) => one.topic === topic)?.cases.find((one) => one.name === name)
  const text = JSON.stringify(found ?? '')
  const others = pluginSchemas.map((schema) => schema.name).filter((plugin) => !built.includes(plugin))
  return others.some(
    (plugin) => text.includes(`"${plugin}"`) || text.includes(`/${plugin}`) || text.includes(`/${plugin}s`),
  )
}
