import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtPlugins } from './index.ts'

const PHASES = [
  'rewrite',
  'access',
  'responseHeaders',
  'responseHold',
  'responseBody',
  'responseEncoding',
  'log',
] as const

test('every built plugin has a name and a priority of its own', () => {
  const names = builtPlugins.map(({ schema }) => schema.name)
  const priorities = builtPlugins.map(({ schema }) => schema.priority)
  assert.equal(new Set(names).size, names.length)
  assert.equal(new Set(priorities).size, priorities.length)
})

test('every built plugin does something in a phase', () => {
  for (const plugin of builtPlugins) {
    assert.ok(
      PHASES.some((phase) => typeof plugin[phase] === 'function'),
      plugin.schema.name,
    )
  }
})
