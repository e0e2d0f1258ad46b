import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair, SignJWT } from 'jose'
import type { Provider } from './provider.ts'
import { TokenVerifier } from './verify.ts'

const NOW = Date.UTC(2026, 0, 1)
const ISSUER = 'https://idp.example.test'

test('a token that was proven while the keys changed is proven again the next time', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const claims = new SignJWT({ iss: ISSUER, exp: NOW / 1000 + 60 })
  const token = await claims.setProtectedHeader({ alg: 'ES256' }).sign(privateKey)
  let changes = 1
  const keys = {
    generation: 1,
    isFresh: () => true,
    find: async () => {
      keys.generation += changes
      return publicKey
    },
  }
  const provider = { keys, metadata: async () => ({ issuer: ISSUER }) } as unknown as Provider
  const verifier = new TokenVerifier({ leewayS: 0, hmacSecret: null })
  assert.equal((await verifier.verifyShown(token, provider, NOW)).is, 'valid')
  assert.equal(verifier.recall(token, NOW), null)
  changes = 0
  assert.equal((await verifier.verifyShown(token, provider, NOW)).is, 'valid')
  assert.equal(verifier.recall(token, NOW)?.['iss'], ISSUER)
})
