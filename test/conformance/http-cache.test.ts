/** The gateway's cache by the tests of cache-tests.fyi, beside nginx and Varnish on the same machine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFullEffort } from '../support/effort.ts'
import { startGateway } from '../support/gateway.ts'
import { startNginx } from '../support/nginx.ts'
import { requirePart } from '../support/parts.ts'
import { Varnish } from '../support/varnish.ts'
import { loadSuite, passed, runCacheTests, startCacheOrigin, type CacheResults, type CacheSuite } from './http-cache.ts'
import { record, today } from './report.ts'

const skip = isFullEffort() ? false : 'takes minutes: npm run test:parts'

/** Everything that the suite answers with, and what an operator would choose who leaves it all to the upstream. */
const CONFIG = {
  strategy: 'memory',
  cache_control: true,
  content_type: ['*/*', '*/*; charset=utf-8'],
  response_code: [
    200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 404, 405, 410, 414, 418, 499, 500, 501, 502, 503, 504, 599,
  ],
}

function countsOf(suite: CacheSuite, results: CacheResults): string {
  const kinds = ['required', 'optimal', 'check'].map((kind) => {
    const all = suite.tests.filter((one) => one.kind === kind).length
    return `${passed(suite, results, kind).length} of ${all} ${kind}`
  })
  return kinds.join(', ')
}

test(
  'the cache passes as many tests as nginx and Varnish, and each required one that both pass',
  { skip },
  async (t) => {
    const folder = await requirePart(t, 'http-cache-tests')
    const nginx = await requirePart(t, 'nginx')
    const varnish = await requirePart(t, 'varnish')
    if (folder === null || nginx === null || varnish === null) return
    const suite = await loadSuite(folder)
    const origin = await startCacheOrigin(suite)
    t.after(() => origin.close())
    const url = `http://127.0.0.1:${origin.port}`
    await using gateway = await startGateway({
      settings: { overload_delay: '0', worker_silence_timeout: '30' },
      declarative: {
        _format_version: '3.0',
        services: [
          {
            name: 's',
            url,
            routes: [{ name: 'r', paths: ['/'], strip_path: false }],
            plugins: [{ name: 'proxy-cache', config: CONFIG }],
          },
        ],
      },
    })
    await using otherNginx = await startNginx(nginx, {
      http: ([port], prefix) => `
      proxy_cache_path ${prefix}/stored levels=1:2 keys_zone=stored:8m max_size=1000m inactive=600m;
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass ${url}; proxy_cache stored; proxy_cache_revalidate on; }
      }`,
    })
    await using otherVarnish = await Varnish.start(varnish, origin.port)
    const ours = await runCacheTests(suite, gateway.proxyPort)
    const nginxs = await runCacheTests(suite, otherNginx.port)
    const varnishs = await runCacheTests(suite, otherVarnish.port)

    const isPassed = (results: CacheResults, id: string) => results.get(id) === true
    const failed = suite.tests.filter(({ id, kind }) => kind === 'required' && !isPassed(ours, id))
    record({
      suite: 'http-cache-tests',
      version: '0.4.5',
      against: 'proxy-cache with `cache_control`',
      result: countsOf(suite, ours),
      compared: `nginx: ${countsOf(suite, nginxs)}; Varnish: ${countsOf(suite, varnishs)}`,
      findings: failed.map(({ id }) => {
        const others = [isPassed(nginxs, id) ? 'nginx' : '', isPassed(varnishs, id) ? 'Varnish' : ''].filter(Boolean)
        return `${id} (${others.length === 0 ? 'nobody passes' : `${others.join(' and ')} pass${others.length === 1 ? 'es' : ''}`} it)`
      }),
      date: today(),
    })
    assert.ok(suite.tests.length > 300, `only ${suite.tests.length} tests`)
    const bothPass = failed.filter(({ id }) => isPassed(nginxs, id) && isPassed(varnishs, id))
    assert.deepEqual(
      bothPass.map(({ id }) => id),
      [],
    )
    for (const [name, theirs] of [
      ['nginx', nginxs],
      ['Varnish', varnishs],
    ] as const)
      assert.ok(
        passed(suite, ours).length >= passed(suite, theirs).length,
        `${countsOf(suite, ours)}, ${name} ${countsOf(suite, theirs)}`,
      )
  },
)
