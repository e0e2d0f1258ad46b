import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { PRESETS } from './fields.ts'
import { wrongContentPolicy, wrongPermissionsPolicy } from './policies.ts'
import { securityHeaders } from './plugin.ts'

function sent(config: object, options: FakeExchangeOptions = {}) {
  const exchange = fakeExchange(options)
  securityHeaders.responseHeaders!(exchange, prepare(securityHeaders, config))
  return { headers: headersOf(exchange.response.headers), hidesServer: exchange.response.hidesServer }
}

test('the preset for APIs', () => {
  assert.deepEqual(sent({}, { scheme: 'https' }), {
    headers: {
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'strict-transport-security': 'max-age=31536000',
    },
    hidesServer: true,
  })
})

test('Strict-Transport-Security goes out over TLS only', () => {
  const config = {
    preset: 'none',
    strict_transport_security: { max_age: 63072000, include_subdomains: true, preload: true },
  }
  const value = 'max-age=63072000; includeSubDomains; preload'
  assert.deepEqual(sent(config, { scheme: 'https' }).headers, { 'strict-transport-security': value })
  assert.deepEqual(sent(config).headers, {})
  const proxied = fakeExchange({ headers: { 'X-Forwarded-Proto': 'https' } })
  const state = prepare(securityHeaders, config)
  securityHeaders.responseHeaders!(proxied, state)
  assert.deepEqual(headersOf(proxied.response.headers), {})
  proxied.request.isTrusted = true
  securityHeaders.responseHeaders!(proxied, state)
  assert.deepEqual(headersOf(proxied.response.headers), { 'strict-transport-security': value })
})

test('what is configured wins over the preset, and what is omitted is not there', () => {
  const config = {
    preset: 'web',
    content_security_policy: "default-src 'self'",
    omit: ['frame_options', 'referrer_policy'],
  }
  assert.deepEqual(sent(config).headers, {
    'content-security-policy': "default-src 'self'",
    'x-content-type-options': 'nosniff',
    'cross-origin-opener-policy': 'same-origin-allow-popups',
  })
})

test('policies that are only reported, and where', () => {
  const config = {
    preset: 'none',
    content_security_policy: "default-src 'self'; report-to csp",
    cross_origin_embedder_policy: 'require-corp',
    report_only: ['content_security_policy', 'cross_origin_embedder_policy'],
    reporting_endpoints: { csp: 'https://reports.example/csp' },
  }
  assert.deepEqual(sent(config).headers, {
    'content-security-policy-report-only': "default-src 'self'; report-to csp",
    'cross-origin-embedder-policy-report-only': 'require-corp',
    'reporting-endpoints': 'csp="https://reports.example/csp"',
  })
})

test('what the upstream sent is replaced, or kept', () => {
  const response = {
    headers: [
      ['X-Frame-Options', 'SAMEORIGIN'],
      ['x-frame-options', 'ALLOW'],
    ] as [string, string][],
  }
  const config = { preset: 'none', frame_options: 'DENY' }
  assert.deepEqual(sent(config, { response }).headers, { 'x-frame-options': 'DENY' })
  assert.deepEqual(sent({ ...config, existing: 'keep' }, { response }).headers, {
    'x-frame-options': ['SAMEORIGIN', 'ALLOW'],
  })
})

test('headers that tell of the upstream are removed', () => {
  const response = { headers: { Server: 'x/1', 'X-Powered-By': 'y', 'X-Own': 'z' } }
  assert.deepEqual(sent({ preset: 'none' }, { response }), { headers: { 'x-own': 'z' }, hidesServer: true })
  assert.deepEqual(sent({ preset: 'none', remove: ['X-Own'] }, { response }), {
    headers: { server: 'x/1', 'x-powered-by': 'y' },
    hidesServer: false,
  })
})

test('every preset keeps the rules for policies', () => {
  for (const preset of Object.values(PRESETS)) {
    if (preset.content_security_policy) assert.equal(wrongContentPolicy(preset.content_security_policy), null)
    if (preset.permissions_policy) assert.equal(wrongPermissionsPolicy(preset.permissions_policy), null)
  }
})

const refused: readonly [config: object, field: string, message: RegExp][] = [
  [{ preset: 'best' }, 'preset', /expected one of/],
  [{ content_security_policy: 'default-source https:' }, 'content_security_policy', /'default-source' is no directive/],
  [{ content_security_policy: 'default-src self' }, 'content_security_policy', /has self without quotes/],
  [{ content_security_policy: "img-src *; IMG-SRC 'self'" }, 'content_security_policy', /'img-src' is there twice/],
  [{ content_security_policy: "img-src 'self', default-src *" }, 'content_security_policy', /has a comma/],
  [{ content_security_policy: ';' }, 'content_security_policy', /expected a directive/],
  [{ content_security_policy: "img-src 'self'\r\nSet-Cookie: a=b" }, 'content_security_policy', /invalid value/],
  [{ referrer_policy: 'never' }, 'referrer_policy', /'never' is none of/],
  [{ permissions_policy: "camera 'none'" }, 'permissions_policy', /expected feature=\(origins\)/],
  [{ permissions_policy: 'camera=(), camera=*' }, 'permissions_policy', /'camera' is there twice/],
  [{ strict_transport_security: { preload: true } }, 'strict_transport_security.preload', /needs include_subdomains/],
  [{ strict_transport_security: { max_age: -1 } }, 'strict_transport_security.max_age', /between 0 and/],
  [{ report_only: ['frame_options'] }, 'report_only.0', /expected one of/],
  [{ reporting_endpoints: { 'a"b': 'https://x.example/' } }, 'reporting_endpoints', /invalid value/],
  [{ reporting_endpoints: { a: 'x' } }, 'reporting_endpoints', /./],
  [{ remove: ['a b'] }, 'remove.0', /./],
]
for (const [config, field, message] of refused) {
  test(`refuses ${JSON.stringify(config)}`, () => {
    assert.throws(
      () => prepare(securityHeaders, config),
      (error: Error & { field?: string }) => {
        assert.equal(error.field, field)
        assert.match(error.message, message)
        return true
      },
    )
  })
}

test('takes policies as they are written', () => {
  assert.equal(
    wrongContentPolicy("script-src 'self' 'nonce-abc' https://x.example:8443/a; upgrade-insecure-requests;"),
    null,
  )
  for (const policy of [
    'camera=()',
    'camera=*',
    'geolocation=(self "https://a.example" "https://b.example:8443"), usb=self',
  ])
    assert.equal(wrongPermissionsPolicy(policy), null, policy)
})
