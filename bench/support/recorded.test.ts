import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { keepFigures } from './recorded.ts'
import { aMachine } from './testing.ts'

const measuredBy = (commit: string) => ({ ...aMachine, commit })

test('what was not measured now stays as it was, and what has no place any more goes', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-recorded-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'figures.json')
  const order = [{ id: 'a' }, { id: 'b' }]
  const first = [
    { id: 'b', value: 1 },
    { id: 'a', value: 2 },
    { id: 'gone', value: 3 },
  ]
  keepFigures(file, [...order, { id: 'gone' }], first, measuredBy('one'))
  const then = keepFigures(file, order, [{ id: 'b', value: 4 }], measuredBy('two'))
  assert.deepEqual(
    then.map(({ id, value, measured }) => [id, value, measured.commit]),
    [
      ['a', 2, 'one'],
      ['b', 4, 'two'],
    ],
  )
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { figures: then })
})
