import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSecureContext } from 'node:tls'
import fc from 'fast-check'
import { accessLog, errorLog, headerBuffers, pemSource, retention, tlsVersions } from './composites.ts'
import { parseSettingsFile } from './file.ts'
import type { Kind, Parsed } from './kind.ts'
import { isLoopback, listenersCollide, listeners, parseListener, type Listener } from './listener.ts'
import { nameServer, network, portMaps } from './networks.ts'
import { duration, flag, integer, list, parseDuration, parseSize } from './scalars.ts'
import { tlsParameters } from './tls-parameters.ts'

const HERE = { workingFolder: '/srv', prefix: '/prefix', cores: 2 }

function valueOf<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) assert.fail(`expected ${parsed.expected}`)
  return parsed.value
}
const parse = <T>(kind: Kind<T>, text: string): T => valueOf(kind.parse(text, HERE))
const refuses = (kind: Kind<unknown>, text: string) => assert.equal(kind.parse(text, HERE).ok, false, text)
const listener = (text: string): Listener => valueOf(parseListener(text))

test('a listen list is addresses with flags', () => {
  const text =
    '0.0.0.0:8000 reuseport backlog=16384, [::1]:8443 ssl http2 ipv6only=off, unix:/run/m.sock, localhost:80 deferred bind so_keepalive=on'
  assert.deepEqual(
    parse(listeners, text).map(({ host, port, socketPath, ssl, http2, reusePort, backlog, ipv6Only }) => [
      host,
      port,
      socketPath,
      ssl,
      http2,
      reusePort,
      backlog,
      ipv6Only,
    ]),
    [
      ['0.0.0.0', 8000, null, false, false, true, 16_384, true],
      ['::1', 8443, null, true, true, false, 511, false],
      ['', 0, '/run/m.sock', false, false, false, 511, true],
      ['127.0.0.1', 80, null, false, false, false, 511, true],
    ],
  )
  assert.deepEqual(parse(listeners, 'off'), [])
})

test('a listen list that can not be bound is refused', () => {
  for (const text of [
    '8000',
    '*:8000',
    'example.com:80',
    '1.2.3:80',
    '0.0.0.0:65536',
    '[127.0.0.1]:80',
    '::1:80',
    'unix:run.sock',
  ])
    refuses(listeners, text)
  for (const text of [
    '0.0.0.0:80 tls',
    '0.0.0.0:80 backlog=0',
    '0.0.0.0:80 backlog',
    '0.0.0.0:80 ipv6only=yes',
    'off, 0.0.0.0:80',
  ])
    refuses(listeners, text)
  refuses(listeners, `unix:/${'x'.repeat(107)}`)
})

test('listeners collide on the same place or a wildcard of the same family', () => {
  const collide = (a: string, b: string) => {
    const result = listenersCollide(listener(a), listener(b))
    assert.equal(listenersCollide(listener(b), listener(a)), result, 'the same both ways')
    return result
  }
  assert.ok(collide('0.0.0.0:80', '127.0.0.1:80'))
  assert.ok(collide('[::1]:80', '[0:0:0:0:0:0:0:1]:80'))
  assert.ok(collide('[::]:80 ipv6only=off', '10.0.0.1:80'))
  assert.ok(collide('localhost:80', '127.0.0.1:80'))
  assert.ok(collide('unix:/a', 'unix:/a'))
  assert.ok(!collide('0.0.0.0:80', '[::]:80'))
  assert.ok(!collide('0.0.0.0:80', '0.0.0.0:81'))
  assert.ok(!collide('127.0.0.1:80', '127.0.0.2:80'))
  assert.ok(!collide('127.0.0.1:0', '127.0.0.1:0'), 'port 0 is a new port each time')
  assert.ok(!collide('unix:/a', '127.0.0.1:0'))
})

test('loopback is what only this machine reaches', () => {
  for (const text of ['127.0.0.1:1', '127.8.8.8:1', '[::1]:1', 'localhost:1', 'unix:/a'])
    assert.ok(isLoopback(listener(text)), text)
  for (const text of ['0.0.0.0:1', '[::]:1', '10.0.0.1:1']) assert.ok(!isLoopback(listener(text)), text)
})

test('times have the forms of nginx', () => {
  const cases: [string, number | null][] = [
    ['0', 0],
    ['60', 60_000],
    ['0.5', 500],
    ['500ms', 500],
    ['1m30s', 90_000],
    ['1d', 86_400_000],
    ['1M', 2_592_000_000],
    ['30s1m', null],
    ['1s1s', null],
    ['s', null],
    ['1 m', null],
    ['-1', null],
    ['1e3', null],
    ['', null],
  ]
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text)
  refuses(duration(1000), '999ms')
})

test('any sum of units from large to small is read as that sum', () => {
  const parts = fc.tuple(fc.nat(50), fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999))
  fc.assert(
    fc.property(parts, ([d, h, m, s, ms]) => {
      assert.equal(parseDuration(`${d}d${h}h${m}m${s}s${ms}ms`), (((d * 24 + h) * 60 + m) * 60 + s) * 1000 + ms)
    }),
  )
})

test('sizes have the forms of nginx', () => {
  const cases: [string, number | null][] = [
    ['0', 0],
    ['8192', 8192],
    ['8k', 8192],
    ['8K', 8192],
    ['2m', 2 * 1024 ** 2],
    ['1g', 1024 ** 3],
    ['1t', null],
    ['k', null],
    ['1.5m', null],
  ]
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text)
})

test('numbers and flags take only what they say', () => {
  assert.equal(parse(integer(0, 10), '10'), 10)
  for (const text of ['11', '-1', '1.5', '', '0x1', '1e1']) refuses(integer(0, 10), text)
  assert.equal(parse(flag, 'On'), true)
  assert.equal(parse(flag, 'false'), false)
  for (const text of ['yes', '1', '']) refuses(flag, text)
})

test('a list names the element that is wrong', () => {
  const parsed = list(integer(1, 5)).parse('1, 2, nine', HERE)
  assert.deepEqual(parsed, { ok: false, expected: 'a whole number 1..5', at: 'nine' })
})

test('trusted networks are addresses, networks, or Unix sockets', () => {
  for (const text of ['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0', 'unix:'])
    assert.equal(parse(network, text), text)
  for (const text of ['10.0.0.0/33', '10.0.0', 'fd00::/129', '10.0.0.0/', '10.0.0.0/8/8', 'host', ''])
    refuses(network, text)
})

test('name servers have a port of 53 unless they say otherwise', () => {
  assert.deepEqual(parse(nameServer, '10.0.0.2'), { ip: '10.0.0.2', port: 53 })
  assert.deepEqual(parse(nameServer, '10.0.0.2:5353'), { ip: '10.0.0.2', port: 5353 })
  assert.deepEqual(parse(nameServer, '[fd00::2]:5353'), { ip: 'fd00::2', port: 5353 })
  assert.deepEqual(parse(nameServer, 'fd00::2'), { ip: 'fd00::2', port: 53 })
  for (const text of ['dns.example', '10.0.0.2:0', '10.0.0.2:70000', '[10.0.0.2]:53', '[fd00::2'])
    refuses(nameServer, text)
})

test('port maps are pairs, each inner port once', () => {
  assert.deepEqual(parse(portMaps, '80:8000, 443:8443'), [
    { external: 80, internal: 8000 },
    { external: 443, internal: 8443 },
  ])
  for (const text of ['80', '80:', '0:8000', '80:8000, 81:8000', '80:70000']) refuses(portMaps, text)
})

test('a log goes to a file below the prefix, to a stream, or nowhere', () => {
  const kind = accessLog(['combined', 'json'])
  assert.deepEqual(parse(kind, 'off'), { to: 'off' })
  assert.deepEqual(parse(kind, '/dev/stdout json'), { to: 'stdout', format: 'json' })
  assert.deepEqual(parse(kind, 'logs/access.log'), { to: 'file', path: '/prefix/logs/access.log', format: null })
  assert.deepEqual(parse(kind, 'constructor'), { to: 'file', path: '/prefix/constructor', format: null })
  for (const text of ['a.log xml', 'a.log json gzip', 'syslog:server=x']) refuses(kind, text)
  refuses(errorLog, 'off')
  refuses(errorLog, 'a.log debug')
})

test('certificates come as path, PEM or base64 of PEM', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  assert.deepEqual(parse(pemSource, 'a.pem'), { path: '/srv/a.pem' })
  assert.deepEqual(parse(pemSource, pem), { pem })
  assert.deepEqual(parse(pemSource, Buffer.from(pem).toString('base64')), { pem })
})

test('old TLS versions are left out with a warning, and refused alone', () => {
  assert.deepEqual(tlsVersions.parse('TLSv1.1 TLSv1.2, TLSv1.3', HERE), {
    ok: true,
    value: ['TLSv1.2', 'TLSv1.3'],
    warning: 'TLSv1.1 is not served (RFC 8996) and left out',
  })
  refuses(tlsVersions, 'TLSv1 TLSv1.1')
  refuses(tlsVersions, 'TLSv1.4')
  refuses(tlsVersions, '')
})

test('header buffers and retention are pairs', () => {
  assert.deepEqual(parse(headerBuffers, '4 8k'), { lineBytes: 8192, totalBytes: 32_768 })
  for (const text of ['8k', '0 8k', '4 8', '4 8k 1']) refuses(headerBuffers, text)
  assert.deepEqual(parse(retention, '500 1d'), { revisions: 500, ageMs: 86_400_000 })
  assert.deepEqual(parse(retention, '500'), { revisions: 500, ageMs: 0 })
  for (const text of ['0 1d', '1d', '5 x', '1 1d 1']) refuses(retention, text)
})

test('a file is lines of key and value; # starts a comment, unless it is escaped', () => {
  const { entries, problems } = parseSettingsFile('\uFEFFa = 1 # one\r\n# b = 2\n\n  c=x=y\nd = p\\#w\ne =\n')
  assert.deepEqual(problems, [])
  assert.deepEqual(
    entries.map(({ key, value, line }) => [key, value, line]),
    [
      ['a', '1', 1],
      ['c', 'x=y', 4],
      ['d', 'p#w', 5],
      ['e', '', 6],
    ],
  )
})

test('every cipher suite is one that TLS can be made with', () => {
  const base = {
    ssl_ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
    ssl_prefer_server_ciphers: true,
    ssl_session_tickets: true,
    ssl_session_timeout: 90_000,
  }
  for (const suite of ['modern', 'intermediate', 'old', 'fips', 'custom'] as const) {
    const parameters = tlsParameters({ ...base, ssl_cipher_suite: suite, ssl_protocols: ['TLSv1.2', 'TLSv1.3'] })
    createSecureContext({
      ciphers: parameters.ciphers,
      minVersion: parameters.minVersion,
      maxVersion: parameters.maxVersion,
    })
    assert.equal(parameters.minVersion, suite === 'modern' ? 'TLSv1.3' : 'TLSv1.2')
    assert.equal(parameters.sessionTimeoutSeconds, 90)
  }
  assert.partialDeepStrictEqual(
    tlsParameters({ ...base, ssl_cipher_suite: 'intermediate', ssl_protocols: ['TLSv1.2'] }),
    { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
  )
  assert.partialDeepStrictEqual(
    tlsParameters({ ...base, ssl_cipher_suite: 'intermediate', ssl_protocols: ['TLSv1.3'] }),
    { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' },
  )
})
