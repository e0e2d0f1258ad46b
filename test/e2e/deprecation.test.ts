/** deprecation on a real gateway: what clients are told, and who is counted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

test('an API is announced to go away, is gone, and its callers are known', async () => {
  await using upstream = await startUpstream()
  const url = `http://127.0.0.1:${upstream.port}`
  const plugin = (config: object) => [{ name: 'key-auth' }, { name: 'deprecation', config }]
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 'old',
          url,
          routes: [{ name: 'old', paths: ['/old'] }],
          plugins: plugin({ deprecated_at: '2020-01-01', sunset_at: '2999-01-01' }),
        },
        {
          name: 'gone',
          url,
          routes: [{ name: 'gone', paths: ['/gone'] }],
          plugins: plugin({ sunset_at: '2020-01-01', successor_link: 'https://api.example/v2' }),
        },
      ],
      consumers: [{ username: 'ann', keyauth_credentials: [{ key: 'k' }] }],
    },
  })
  const shown = async (path: string, apikey: string) => {
    const { status, headers } = await ask(gateway.proxyUrl + path, { headers: { apikey } })
    return [status, headers['deprecation'], headers['sunset'], headers['link']]
  }
  assert.deepEqual(await shown('/old', 'k'), [200, '@1577836800', 'Tue, 01 Jan 2999 00:00:00 GMT', undefined])
  const link = '<https://api.example/v2>; rel="successor-version"'
  assert.deepEqual(await shown('/gone', 'k'), [410, undefined, 'Wed, 01 Jan 2020 00:00:00 GMT', link])
  assert.equal((await shown('/gone', 'wrong'))[0], 401)
  assert.equal(upstream.received.length, 1)
  const { text } = await ask(`${gateway.adminUrl}/metrics`)
  const uses = text.split('\n').filter((line) => line.startsWith('meridian_deprecated_requests_total{'))
  const labels = uses.map((line) =>
    /api="([^"]*)",consumer="([^"]*)",stage="([^"]*)".* (\d+)$/.exec(line)?.slice(1).join(' '),
  )
  assert.deepEqual(
    labels.toSorted((a = '', b = '') => a.localeCompare(b)),
    ['gone ann retired 1', 'old ann deprecated 1'],
  )
})
