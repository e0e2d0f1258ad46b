/** AWS's published test suite for Signature Version 4, as far as it is about what is sent here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { signRequest } from './sigv4.ts'

const KEYS = {
  accessKeyId: 'AKIDEXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: null,
}
const SCOPE = { service: 'service', region: 'us-east-1' }
const AT = Date.parse('2015-08-30T12:36:00Z')

const cases: [string, string, string, Record<string, string>, string, string, string][] = [
  [
    'get-vanilla',
    'GET',
    '/',
    {},
    '',
    'host;x-amz-date',
    '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  ],
  [
    'post-vanilla',
    'POST',
    '/',
    {},
    '',
    'host;x-amz-date',
    '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  ],
  [
    'get-vanilla-query-order-key-case',
    'GET',
    '/?Param2=value2&Param1=value1',
    {},
    '',
    'host;x-amz-date',
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  [
    'post-x-www-form-urlencoded',
    'POST',
    '/',
    { 'content-type': 'application/x-www-form-urlencoded' },
    'Param1=value1',
    'content-type;host;x-amz-date',
    'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  ],
]
for (const [name, method, target, headers, body, names, signature] of cases) {
  test(name, () => {
    const url = new URL(target, 'https://example.amazonaws.com')
    const sent = signRequest({ method, url, headers, body }, SCOPE, KEYS, AT)
    assert.equal(sent['x-amz-date'], '20150830T123600Z')
    assert.equal(
      sent['authorization'],
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
    )
  })
}

test('a session token is sent and signed', () => {
  const url = new URL('https://example.amazonaws.com/')
  const sent = signRequest(
    { method: 'POST', url, headers: {}, body: '' },
    SCOPE,
    { ...KEYS, sessionToken: 'token' },
    AT,
  )
  assert.equal(sent['x-amz-security-token'], 'token')
  assert.match(sent['authorization']!, /SignedHeaders=host;x-amz-date;x-amz-security-token,/)
})
