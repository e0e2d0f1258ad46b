import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { proveClient, type ClientIdentity } from './client-auth.ts'

const NOW = Date.parse('2030-01-01T00:00:00Z')
const AUDIENCE = 'https://idp.test'
const client: ClientIdentity = { id: 'app:1', secret: 'pass word/ü%', key: null, algorithm: null }

test('Basic has id and secret form-encoded', async () => {
  const { headers, parameters } = await proveClient('client_secret_basic', client, AUDIENCE, NOW)
  assert.deepEqual(parameters, {})
  const [, base64 = ''] = /^Basic (.+)$/.exec(headers['Authorization'] ?? '') ?? []
  assert.equal(Buffer.from(base64, 'base64').toString(), 'app%3A1:pass+word%2F%C3%BC%25')
})

test('in a form they are as they are, and without a secret there is the id', async () => {
  assert.deepEqual(await proveClient('client_secret_post', client, AUDIENCE, NOW), {
    headers: {},
    parameters: { client_id: 'app:1', client_secret: 'pass word/ü%' },
  })
  const none = await proveClient('none', client, AUDIENCE, NOW)
  assert.deepEqual(none, { headers: {}, parameters: { client_id: 'app:1' } })
})

for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
  test(`an assertion is signed by the private key, for this provider and a minute, ${alg}`, async () => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const key = { ...(await exportJWK(privateKey)), kid: 'k1' }
    const { parameters } = await proveClient('private_key_jwt', { ...client, key, algorithm: alg }, AUDIENCE, NOW)
    assert.equal(parameters['client_assertion_type'], 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    assert.equal(parameters['client_id'], 'app:1')
    const { payload, protectedHeader } = await jwtVerify(parameters['client_assertion'] ?? '', publicKey, {
      issuer: 'app:1',
      subject: 'app:1',
      audience: AUDIENCE,
      currentDate: new Date(NOW),
    })
    assert.deepEqual(protectedHeader, { alg, kid: 'k1' })
    assert.deepEqual([payload.iat, payload.exp], [NOW / 1000, NOW / 1000 + 60])
    const again = await proveClient('private_key_jwt', { ...client, key, algorithm: alg }, AUDIENCE, NOW)
    assert.notEqual(again.parameters['client_assertion'], parameters['client_assertion'], 'each has an id of its own')
  })
}

test('an assertion may be signed by the secret', async () => {
  const secret = 'a-secret-of-the-client-that-is-long'
  const { parameters } = await proveClient('client_secret_jwt', { ...client, secret }, AUDIENCE, NOW)
  assert.equal(parameters['client_secret'], undefined)
  await jwtVerify(parameters['client_assertion'] ?? '', Buffer.from(secret), {
    currentDate: new Date(NOW),
    algorithms: ['HS256'],
  })
})
