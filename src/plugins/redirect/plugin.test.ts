import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange, prepare } from '#pdk/testing'
import { redirect } from './plugin.ts'

function answer(config: object, path: string) {
  return redirect.access!(fakeExchange({ path }), prepare(redirect, config))
}
const locationOf = (config: object, path: string) =>
  Object.fromEntries((answer(config, path) as Exit).headers)['Location']

test('answers with the location as it stands', () => {
  assert.partialDeepStrictEqual(answer({ location: 'https://new.test/a?b=1#c' }, '/x?y=2'), {
    status: 301,
    body: 'redirecting',
    headers: [['Location', 'https://new.test/a?b=1#c']],
  })
  assert.partialDeepStrictEqual(answer({ location: 'https://new.test', status_code: 308 }, '/'), { status: 308 })
})

test('path and query of the request take the place of those of the location', () => {
  const cases: [string, string, string][] = [
    ['https://new.test', '/x?y=2', 'https://new.test/x?y=2'],
    ['https://new.test:8443/a?b=1#c', '/x', 'https://new.test:8443/x#c'],
    ['https://new.test/a', '/', 'https://new.test/'],
    ['https://new.test', '/x%20y?z=%2F', 'https://new.test/x%20y?z=%2F'],
    // The host stays the operator's, whatever the path looks like.
    ['https://new.test', '//evil.test/x', 'https://new.test//evil.test/x'],
    ['https://new.test', '/@evil.test', 'https://new.test/@evil.test'],
  ]
  for (const [location, path, expected] of cases)
    assert.equal(locationOf({ location, keep_incoming_path: true }, path), expected)
})

test('a configuration that can not work names its field', () => {
  assert.throws(() => prepare(redirect, {}), { code: 'CONFIG_INVALID', field: 'location' })
  assert.throws(() => prepare(redirect, { location: '/only/a/path' }), { field: 'location' })
  assert.throws(() => prepare(redirect, { location: 'https://a.test', status_code: 600 }), { field: 'status_code' })
})
