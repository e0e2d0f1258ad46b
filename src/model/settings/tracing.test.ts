import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tracingSettings } from './tracing.ts'

const HERE = { workingFolder: '/srv', prefix: '/prefix', cores: 2 }

test('the share of traced requests is a number from 0 to 1', () => {
  const parse = (text: string) => {
    const parsed = tracingSettings.tracing_sampling_rate.kind.parse(text, HERE)
    return parsed.ok ? parsed.value : null
  }
  assert.deepEqual(['0', '1', '0.01', '1.0'].map(parse), [0, 1, 0.01, 1])
  for (const text of ['', '-1', '1.1', '2', '.5', '1e-2', 'half']) assert.equal(parse(text), null, text)
})

test('what is recorded is off, or names', () => {
  const parse = (text: string) => {
    const parsed = tracingSettings.tracing_instrumentations.kind.parse(text, HERE)
    return parsed.ok ? parsed.value : null
  }
  assert.deepEqual(parse('off'), [])
  assert.deepEqual(parse('request, plugin_access'), ['request', 'plugin_access'])
  for (const text of ['on', 'off, all', 'requests']) assert.equal(parse(text), null, text)
})
