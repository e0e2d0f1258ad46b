import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseServiceUrl, splitUrl } from './service-url.ts'
import { validateField } from './validate.ts'

const wrong = (validator: string, value: unknown): unknown =>
  validateField({ type: typeof value === 'object' ? 'json' : 'string', validator }, value)

/** Each validator with what it takes and what it says of the rest. */
const TABLE: Readonly<
  Record<string, { readonly takes: readonly string[]; readonly refuses: Readonly<Record<string, string>> }>
> = {
  hostname: {
    takes: ['a.test', 'a_b', 'localhost', '10.0.0.1', '::1', 'a.test.', 'xn--a'],
    refuses: {
      'a.test:80': 'must not have a port',
      'a.test:99999': 'must not have a port',
      'a b': 'invalid value: a b',
      'a..b': 'invalid value: a..b',
      '256.0.0.1': 'invalid value: 256.0.0.1',
      'a-.test': 'invalid value: a-.test',
      '[::1]:80': 'must not have a port',
    },
  },
  hostname_optional_port: {
    takes: ['a.test:80', '[::1]:80', '1.2.3.4'],
    refuses: { 'a/b': 'invalid hostname: a/b', 'a:70000': 'invalid port number' },
  },
  sni_name: {
    takes: ['a.test', 'a'],
    refuses: { '10.0.0.1': 'must not be an IP', 'a.test:1': 'must not have a port', 'a b': 'invalid value: a b' },
  },
  wildcard_hostname: {
    takes: ['a.test', '*.a.test', 'a.*', '*'],
    refuses: {
      'a.*.b': 'wildcard must be leftmost or rightmost character',
      '*.a.*': 'only one wildcard must be specified',
      '*.10:1': 'must not have a port',
    },
  },
  ip_or_cidr: {
    takes: ['10.0.0.1', '10.0.0.0/8', '::1', 'fe80::/10', '0.0.0.0/0'],
    refuses: Object.fromEntries(
      ['1.2.3', '10.0.0.0/33', '::/129', '10.0.0.0/', 'x', '10.0.0.0/8/8', 'fe80::1%eth0'].map((value) => [
        value,
        `invalid ip or cidr range: '${value}'`,
      ]),
    ),
  },
  upstream_name: {
    takes: ['u.test', 'my_upstream'],
    refuses: {
      '10.0.0.1': "Invalid name ('10.0.0.1'); no ip addresses allowed",
      'a:1': "Invalid name ('a:1'); no port allowed",
      'a b': "Invalid name ('a b'); must be a valid hostname",
    },
  },
  uri_path: {
    takes: ['/', "/a/b-c_d.e~f!$&'()*+,;=:@%20"],
    refuses: {
      '/a b': "invalid path: '/a b' (characters outside of the reserved list of RFC 3986 found)",
      '/a?b': "invalid path: '/a?b' (characters outside of the reserved list of RFC 3986 found)",
      '/%zz': "invalid url-encoded value: '%zz'",
      '/a%': "invalid url-encoded value: '%'",
    },
  },
  route_path: {
    takes: ['/', '/a/b', '/a%2Fb', '~/a/(?<id>[0-9]+)$', '~/(?i)a', '/a..b'],
    refuses: {
      '/a/../b': "non-normalized path, consider use '/b' instead",
      '/a/./b': "non-normalized path, consider use '/a/b' instead",
      '/%7Ea': "non-normalized path, consider use '/~a' instead",
      '/a%2fb': "non-normalized path, consider use '/a%2Fb' instead",
      '/%zz': "invalid url-encoded value: '%zz'",
      '~/(a': 'invalid regex: \'/(a\' (PCRE returned: pcre_compile() failed: missing ) in "/(a")',
    },
  },
  name_utf8: {
    takes: ['a', 'a.b-c_d~e', 'é', '日本'],
    refuses: {
      'a b': "invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~",
      'é\ud800': 'invalid utf-8 character sequence detected at position 3',
    },
  },
  tag: {
    takes: ['a b', 'é', '!~'],
    refuses: {
      'a,b': "invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
      'a/b': "invalid tag 'a/b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
    },
  },
  url: {
    takes: ['http://a.test', 'https://[::1]:1/x?y'],
    refuses: { nope: 'missing host in url', '//a.test': 'missing scheme in url' },
  },
  redirect_uri: {
    takes: ['https://a.test/x'],
    refuses: { nope: "cannot parse 'nope'", 'http://a.test/#f': "fragment not allowed in 'http://a.test/#f'" },
  },
  header_name: {
    takes: ['X-A', 'x_1'],
    refuses: { 'a b': "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'" },
  },
  header_pair: { takes: ['a:b', 'a'], refuses: { 'a b:c': "'a b' is not a valid header" } },
  header_pair_both: {
    takes: ['a:b'],
    refuses: { 'a:b c': "'b c' is not a valid header", 'a b:c': "'a b' is not a valid header" },
  },
  transform_value: {
    takes: ['a:b', 'a:$(headers.x)', 'a:b:c'],
    refuses: { a: "key 'a' has no value", 'a:': "key 'a' has no value" },
  },
  cors_origin: { takes: ['*', 'https?://a\\.test'], refuses: { '(': "'(' is not a valid regex" } },
  ip: { takes: ['10.0.0.1', '::1'], refuses: { x: 'not an ip address: x' } },
  cidr_v4: { takes: ['10.0.0.0/8', '10.0.0.1'], refuses: { '::1': "invalid ipv4 cidr range: '::1'" } },
  name_ascii: {
    takes: ['a.b'],
    refuses: { é: "invalid value 'é': it must only contain alphanumeric and '., -, _, ~' characters" },
  },
  acme_namespace: {
    takes: ['a'],
    refuses: { 'kong_acme:cert_key:x': "namespace can't be prefixed with reserved word: kong_acme:cert_key:" },
  },
}

for (const [name, { takes, refuses }] of Object.entries(TABLE)) {
  test(`${name} takes what Kong takes, and refuses the rest in its words`, () => {
    for (const value of takes) assert.equal(wrong(name, value), null, value)
    for (const [value, message] of Object.entries(refuses)) assert.equal(wrong(name, value), message, value)
  })
}

test('a template that can not be compiled is refused with the reason', () => {
  assert.match(String(wrong('transform_value', 'a:$(1 +)')), /^value '\$\(1 \+\)' is not in supported format, error:/)
})

test('cookie names are tokens', () => {
  assert.equal(wrong('http_token', 'name'), null)
  assert.match(String(wrong('http_token', 'a=b')), /^contains one or more invalid characters/)
})

test('limits of longer periods are not lower than those of shorter ones', () => {
  assert.equal(
    wrong('period_order', { minute: 10, hour: 5 }),
    'The limit for hour(5.0) cannot be lower than the limit for minute(10.0)',
  )
  assert.equal(wrong('period_order', { second: 1, hour: 5, sync_rate: -1 }), null)
  assert.equal(
    wrong('period_order', { second: 1, sync_rate: 0.5, policy: 'local' }),
    'sync_rate can only be used with the redis policy',
  )
  assert.equal(
    wrong('period_order', { second: 1, sync_rate: 0.01, policy: 'redis' }),
    'sync_rate must be greater than 0.02, or -1 to disable',
  )
})

test('a static response has a message or a body, not both', () => {
  assert.equal(
    wrong('request_termination', { message: 'a', body: 'b' }),
    'message cannot be used with content_type or body',
  )
  assert.equal(wrong('request_termination', { content_type: 'a' }), 'content_type requires a body')
  assert.equal(
    wrong('request_termination', { echo: true, body: 'a' }),
    'echo cannot be used with content_type and body',
  )
})

test('credentials of a log endpoint stand in its address or in a header, not in both', () => {
  assert.equal(wrong('http_log_auth', { http_endpoint: 'http://u:p@a.test', headers: { 'x-a': 'b' } }), null)
  assert.match(
    String(wrong('http_log_auth', { http_endpoint: 'http://u:p@a.test', headers: { authorization: 'b' } })),
    /is not allowed$/,
  )
})

test('the parts of an address are split without judging them', () => {
  assert.deepEqual(splitUrl('https://u:p@a.test:8443/x?q#f'), {
    scheme: 'https',
    host: 'a.test',
    port: '8443',
    path: '/x',
    userinfo: 'u:p',
  })
  assert.deepEqual(parseServiceUrl('https://a.test'), { protocol: 'https', host: 'a.test', port: 443, path: null })
  assert.deepEqual(parseServiceUrl('//a.test:443'), { protocol: 'https', host: 'a.test', port: 443, path: null })
  assert.deepEqual(parseServiceUrl('grpc://a.test'), { protocol: 'grpc', host: 'a.test', port: 80, path: null })
  assert.deepEqual(parseServiceUrl('http://[::1]:81/'), { protocol: 'http', host: '::1', port: 81, path: '/' })
})
