import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { referencePages } from '#install/pages.ts'
import { metricNames } from '#telemetry/exposition.ts'
import { families, type MetricFamily } from '#telemetry/families.ts'

const ROOT = path.resolve(import.meta.dirname, '..')
const REFERENCE = path.join(ROOT, 'docs', 'reference')

test('the reference pages are what npm run docs writes', () => {
  const pages = referencePages()
  for (const [name, text] of pages) {
    const file = path.join(REFERENCE, name)
    assert.ok(existsSync(file) && readFileSync(file, 'utf8') === text, `docs/reference/${name} is old: npm run docs`)
  }
  const extra = globSync('*', { cwd: REFERENCE }).filter((name) => !pages.has(name))
  assert.deepEqual(extra, [], 'nobody writes these pages')
})

test('links between pages lead to files that exist', () => {
  const broken: string[] = []
  for (const page of globSync(['*.md', 'docs/**/*.md', 'ops/**/*.md', 'cql/**/*.md'], { cwd: ROOT })) {
    const text = readFileSync(path.join(ROOT, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?:|mailto:|#)/.test(target)) continue
      const file = path.join(ROOT, path.dirname(page), target.replace(/#.*$/, ''))
      if (!existsSync(file)) broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('code blocks and pages name only npm scripts that exist', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  const unknown: string[] = []
  for (const page of globSync(['*.md', 'docs/**/*.md', 'ops/**/*.md'], { cwd: ROOT })) {
    const text = readFileSync(path.join(ROOT, page), 'utf8')
    for (const [, name = ''] of text.matchAll(/\bnpm run ([a-z][a-z:-]*)/g))
      if (!(name in scripts)) unknown.push(`${page}: ${name}`)
  }
  assert.deepEqual(unknown, [])
})

test('links to a heading of a page lead to one that is there', () => {
  const broken: string[] = []
  for (const page of globSync(['*.md', 'docs/**/*.md', 'ops/**/*.md', 'cql/**/*.md'], { cwd: ROOT })) {
    const text = readFileSync(path.join(ROOT, page), 'utf8')
    for (const [, target = '', anchor = ''] of text.matchAll(/\]\(([^)\s#]*)#([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const file = target === '' ? page : path.join(path.dirname(page), target)
      if (!anchorsOf(readFileSync(path.join(ROOT, file), 'utf8')).has(anchor))
        broken.push(`${page}: ${target}#${anchor}`)
    }
  }
  assert.deepEqual(broken, [])
})

/** As GitHub makes them of headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

test('every page can be reached from the README', () => {
  const reached = new Set<string>()
  const visit = (page: string) => {
    if (reached.has(page)) return
    reached.add(page)
    for (const [, target = ''] of readFileSync(path.join(ROOT, page), 'utf8').matchAll(/\]\(([^)\s#]+\.md)[^)\s]*\)/g))
      if (!/^https?:/.test(target)) visit(path.join(path.dirname(page), target))
  }
  visit('README.md')
  assert.deepEqual(
    globSync('docs/**/*.md', { cwd: ROOT }).filter((page) => !reached.has(page)),
    [],
  )
})

test('the page of metrics has every metric, and says of each what the gateway says', () => {
  const text = readFileSync(path.join(ROOT, 'docs', 'operations', 'metrics.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `(\w+)` \| .*$/gm)]
  assert.deepEqual(rows.map(([, name = '']) => name).toSorted(), metricNames.toSorted())
  const lines = new Set(rows.map((row) => row[0]))
  const wanted = Object.entries<MetricFamily>(families).map(([name, { type, labels, perWorker, help }]) => {
    const own = [...(perWorker === true ? ['worker'] : []), ...(type === 'histogram' ? ['le'] : [])]
    const all = [...labels, ...own].map((label) => `\`${label}\``)
    return `| \`${name}\` | ${type} | ${all.join(', ')} | ${help} |`
  })
  assert.deepEqual(
    wanted.filter((line) => !lines.has(line)),
    [],
  )
})

test('the page on the architecture names files that exist, and imports as they are checked', () => {
  const page = readFileSync(path.join(ROOT, 'docs', 'architecture.md'), 'utf8')
  const files = [...page.matchAll(/`((?:[a-z-]+\/)+[a-z0-9-]+\.ts)`/g)].map(([, file = '']) => file)
  assert.deepEqual(
    files.filter((file) => !existsSync(path.join(ROOT, file)) && !existsSync(path.join(ROOT, 'src', file))),
    [],
  )
  const checked = readFileSync(path.join(ROOT, 'test', 'architecture.test.ts'), 'utf8')
  const rules = [...checked.matchAll(/^ {2}(\w+): \[([^\]]*)\],$/gm)].map(([, folder, list = '']) => [
    folder,
    list.match(/\w+/g) ?? [],
  ])
  const shown = [...page.matchAll(/^\| `(\w+)` \| [^|]* \| ([^|]*) ?\|$/gm)].map(([, folder, list = '']) => [
    folder,
    list.match(/\w+/g) ?? [],
  ])
  assert.ok(rules.length > 0)
  assert.deepEqual(Object.fromEntries(shown), Object.fromEntries(rules))
})

test('decisions name files that exist', () => {
  const missing: string[] = []
  for (const page of globSync('docs/decisions/*.md', { cwd: ROOT }))
    for (const [, file = ''] of readFileSync(path.join(ROOT, page), 'utf8').matchAll(/`(src\/[\w/-]+\.ts)`/g))
      if (!existsSync(path.join(ROOT, file))) missing.push(`${page}: ${file}`)
  assert.deepEqual(missing, [])
})
