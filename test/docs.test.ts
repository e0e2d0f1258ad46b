import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { referencePages } from '#install/pages.ts'

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
