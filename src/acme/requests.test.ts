import assert from 'node:assert/strict'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { createSecureContext } from 'node:tls'
import { CertificationRequest } from 'pkijs'
import { makeCertificateRequest, makeChallengeCertificate } from './requests.ts'

test('a request is signed by its own new key, and names one name', async () => {
  for (const [kind, type] of [
    [{ type: 'ecc' }, 'ec'],
    [{ type: 'rsa', bits: 2048 }, 'rsa'],
  ] as const) {
    const { key, csr } = await makeCertificateRequest('orders.example', kind)
    const request = CertificationRequest.fromBER(new Uint8Array(csr).buffer)
    assert.equal(await request.verify(), true)
    assert.equal(createPrivateKey(key).asymmetricKeyType, type)
    assert.ok(csr.includes('orders.example'))
    assert.notEqual((await makeCertificateRequest('orders.example', { type: 'ecc' })).key, key)
  }
})

test('the certificate of a challenge has the name, the digest as a critical extension, and a key that fits', async () => {
  const { cert, key } = await makeChallengeCertificate('orders.example', 'token.thumbprint', Date.parse('2030-01-02'))
  const read = new X509Certificate(cert)
  assert.equal(read.subjectAltName, 'DNS:orders.example')
  assert.equal(read.checkPrivateKey(createPrivateKey(key)), true)
  assert.equal(read.verify(read.publicKey), true)
  assert.equal(read.validFrom, 'Jan  1 00:00:00 2030 GMT')
  // SEQUENCE of the identifier, TRUE, and an OCTET STRING with another in it.
  const digest = createHash('sha256').update('token.thumbprint').digest()
  const extension = Buffer.concat([Buffer.from('06082b0601050507011f0101ff04220420', 'hex'), digest])
  assert.ok(read.raw.includes(extension))
  createSecureContext({ cert, key })
})
