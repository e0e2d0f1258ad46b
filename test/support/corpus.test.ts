import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { judge, readAcceptedDifferences, type CaseResult } from './corpus.ts'

const result = (name: string, outcome: CaseResult['outcome']): CaseResult => ({
  topic: 'http-wire',
  name,
  outcome,
  differences: outcome === 'failed' ? ['status: expected 200, got 400'] : [],
})

test('reads accepted differences from the tables between the markers, and only from them', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'compatibility.md')
  writeFileSync(
    file,
    [
      '| other | table | here |',
      '|---|---|---|',
      '| a | b | c |',
      '<!-- differences: admin -->',
      '<!-- /differences -->',
      '<!-- differences: proxy -->',
      '| topic | case | reason |',
      '|---|---|---|',
      '| `http-wire` | obs-fold \\| tab | RFC 9112 section 5.2 |',
      '<!-- /differences -->',
    ].join('\n'),
  )
  assert.deepEqual(readAcceptedDifferences(file, 'proxy'), [
    { topic: 'http-wire', name: 'obs-fold | tab', reason: 'RFC 9112 section 5.2' },
  ])
  assert.deepEqual(readAcceptedDifferences(file, 'admin'), [])
  assert.throws(() => readAcceptedDifferences(file, 'later'), /has no <!-- differences: later -->/)
})

test('an accepted difference that no longer differs is obsolete, any other failing case is unexpected', () => {
  const accepted = ['stricter', 'mended', 'not run'].map((name) => ({ topic: 'http-wire', name, reason: 'r' }))
  const results = [
    result('stricter', 'failed'),
    result('mended', 'passed'),
    result('new', 'failed'),
    result('ok', 'passed'),
  ]
  assert.deepEqual(judge(results, accepted), {
    unexpected: ['http-wire | new | status: expected 200, got 400'],
    obsolete: ['http-wire | mended'],
    passed: 2,
    accepted: 1,
  })
})
