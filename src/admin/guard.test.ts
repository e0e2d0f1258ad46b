import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { checkArrival, hostName, isLoopbackAddress } from './guard.ts'

const settings = { origins: ['https://admin.example'], hosts: ['admin-api.internal'] }

function check(headers: IncomingHttpHeaders, localAddress = '127.0.0.1', isTls = false) {
  return checkArrival({ headers, localAddress, isTls }, settings)
}

test('programs that send no Origin pass under a loopback name, the own address or a configured name', () => {
  for (const host of [
    'localhost:8001',
    '127.0.0.1',
    '127.8.9.10:8001',
    '[::1]:8001',
    'LOCALHOST',
    'localhost.',
    'admin-api.internal:8001',
  ]) {
    assert.deepEqual(check({ host }), { ok: true, corsOrigin: null }, host)
  }
  assert.equal(check({ host: '10.0.0.5:8001' }, '10.0.0.5').ok, true)
  assert.equal(check({ host: '10.0.0.5:8001' }, '::ffff:10.0.0.5').ok, true)
  assert.equal(check({}).ok, true)
})

test('other names in Host are refused: a name that was made to resolve to loopback is one of these', () => {
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.5',
    'user@localhost',
    'a b',
    '',
    '[::2]',
    '127.0.0.1:x',
    '0.0.0.0',
    '2130706433',
  ]) {
    assert.equal(check({ host }).ok, false, host)
  }
})

test('an Origin is refused unless it is configured', () => {
  for (const origin of [
    'https://evil.example',
    'null',
    'http://localhost:3000',
    'http://admin.example',
    'https://admin.example:444',
    '',
  ]) {
    assert.equal(check({ host: 'localhost:8001', origin }).ok, false, origin)
  }
  assert.deepEqual(check({ host: 'localhost:8001', origin: 'https://admin.example' }), {
    ok: true,
    corsOrigin: 'https://admin.example',
  })
  assert.equal(
    check({ host: 'localhost:8001', origin: 'https://admin.example', 'sec-fetch-site': 'cross-site' }).ok,
    true,
  )
})

test('a page that this listener served itself may call, but only under a loopback name', () => {
  assert.equal(check({ host: 'localhost:8001', origin: 'http://localhost:8001' }).ok, true)
  assert.equal(check({ host: 'localhost:8001', origin: 'https://localhost:8001' }).ok, false)
  assert.equal(check({ host: 'localhost:8444', origin: 'https://localhost:8444' }, '127.0.0.1', true).ok, true)
  // Rebinding: same origin to the browser, but not under a name of ours that can't be rebound.
  assert.equal(check({ host: 'admin-api.internal:8001', origin: 'http://admin-api.internal:8001' }).ok, false)
})

test('a request of a page of another site is refused also where it has no Origin', () => {
  assert.equal(check({ host: 'localhost:8001', 'sec-fetch-site': 'cross-site' }).ok, false)
  assert.equal(check({ host: 'localhost:8001', 'sec-fetch-site': 'none' }).ok, true)
})

test('loopback is 127.0.0.0/8, ::1 and Unix sockets', () => {
  for (const address of [undefined, '127.0.0.1', '127.255.0.1', '::1', '::ffff:127.0.0.1'])
    assert.equal(isLoopbackAddress(address), true, String(address))
  for (const address of ['0.0.0.0', '::', '10.0.0.1', '::ffff:10.0.0.1', '128.0.0.1', '1270.0.0.1'])
    assert.equal(isLoopbackAddress(address), false, address)
})

test('host names are read without port and brackets', () => {
  assert.deepEqual(['A.Test:80', '[::1]', '[fe80::1]:1', 'a', 'a:b:c', '[x]'].map(hostName), [
    'a.test',
    '::1',
    'fe80::1',
    'a',
    '',
    '',
  ])
})
