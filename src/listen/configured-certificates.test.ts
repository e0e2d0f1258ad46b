import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { before, test } from 'node:test'
import { generate } from 'selfsigned'
import { loadCertificates } from './configured-certificates.ts'

let one: { cert: string; key: string }
let other: { cert: string; key: string }

async function pair(name: string): Promise<{ cert: string; key: string }> {
  const made = await generate([{ name: 'commonName', value: name }], { keyType: 'ec' })
  return { cert: made.cert, key: made.private }
}

before(async () => {
  one = await pair('one.example')
  other = await pair('other.example')
})

test('pairs are read from files and from the settings themselves', async (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-pem-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(path.join(folder, 'a.crt'), one.cert)
  const loaded = await loadCertificates(
    'ssl_cert',
    [{ path: path.join(folder, 'a.crt') }, { pem: other.cert }],
    [{ pem: one.key }, { pem: other.key }],
  )
  assert.deepEqual(loaded, [one, other])
  assert.deepEqual(await loadCertificates('ssl_cert', [], []), [])
})

test('every problem is told at once, with the setting and its place in the list', async () => {
  const certificates = [{ path: '/nowhere/a.crt' }, { pem: 'no certificate' }, { pem: one.cert }, { pem: one.cert }]
  const keys = [{ pem: one.key }, { pem: one.key }, { pem: other.key }, { pem: 'no key' }]
  await assert.rejects(
    loadCertificates('admin_ssl_cert', certificates, keys),
    (error: Error & { code: string; details: string[] }) => {
      assert.equal(error.code, 'CERTIFICATE_INVALID')
      assert.deepEqual(error.details, [
        'admin_ssl_cert[0]: expected a file that can be read, got /nowhere/a.crt (ENOENT)',
        'admin_ssl_cert[1]: expected a certificate in PEM',
        'admin_ssl_cert_key[2]: expected the key of admin_ssl_cert[2] (CN=one.example), got another one',
        'admin_ssl_cert_key[3]: expected a private key in PEM, without passphrase',
      ])
      return true
    },
  )
})
