import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect, createServer } from 'node:tls'
import { openDefaultCertificate } from './default-certificate.ts'

const NOW_MS = Date.now()
const DAY_MS = 86_400_000

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-certificate-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return path.join(folder, 'ssl')
}

test('the certificate is made once and stays', async (context) => {
  const folder = folderFor(context)
  const made = await openDefaultCertificate({ folder, nowMs: NOW_MS, names: [] })
  const kept = await openDefaultCertificate({ folder, nowMs: NOW_MS + DAY_MS, names: [] })
  assert.deepEqual([made.isNew, kept.isNew], [true, false])
  assert.equal(kept.cert, made.cert)
  assert.equal(kept.key, made.key)
})

test('the key is ECDSA and for its owner only, also after it was opened to others', async (context) => {
  const folder = folderFor(context)
  const { cert } = await openDefaultCertificate({ folder, nowMs: NOW_MS, names: [] })
  assert.equal(new X509Certificate(cert).publicKey.asymmetricKeyType, 'ec')
  const keyFile = path.join(folder, 'default.key')
  assert.equal(statSync(keyFile).mode & 0o777, 0o600)
  chmodSync(keyFile, 0o644)
  await openDefaultCertificate({ folder, nowMs: NOW_MS, names: [] })
  assert.equal(statSync(keyFile).mode & 0o777, 0o600)
})

test('it names loopback and what is asked for, is no authority, and lives as long as browsers allow', async (context) => {
  const { cert, expiresAtMs } = await openDefaultCertificate({
    folder: folderFor(context),
    nowMs: NOW_MS,
    names: ['gateway.example', '10.0.0.5'],
  })
  const certificate = new X509Certificate(cert)
  for (const name of ['localhost', 'gateway.example']) assert.equal(certificate.checkHost(name), name)
  for (const ip of ['127.0.0.1', '::1', '10.0.0.5']) assert.ok(certificate.checkIP(ip), ip)
  assert.equal(certificate.ca, false)
  const validDays = (certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / DAY_MS
  assert.ok(validDays > 300 && validDays <= 398)
  assert.equal(expiresAtMs, certificate.validToDate.getTime())
  assert.ok(certificate.validFromDate.getTime() < NOW_MS)
})

test('it is made anew before it expires', async (context) => {
  const folder = folderFor(context)
  const made = await openDefaultCertificate({ folder, nowMs: NOW_MS, names: [] })
  const later = await openDefaultCertificate({ folder, nowMs: made.expiresAtMs - 44 * DAY_MS, names: [] })
  assert.ok(later.isNew)
  assert.notEqual(later.cert, made.cert)
  assert.ok(later.expiresAtMs > made.expiresAtMs)
})

test('a torn file, or a key of another certificate, is replaced', async (context) => {
  const folder = folderFor(context)
  const made = await openDefaultCertificate({ folder, nowMs: NOW_MS, names: [] })
  writeFileSync(path.join(folder, 'default.crt'), made.cert.slice(0, 100))
  assert.ok((await openDefaultCertificate({ folder, nowMs: NOW_MS, names: [] })).isNew)
  writeFileSync(path.join(folder, 'default.key'), made.key)
  assert.ok((await openDefaultCertificate({ folder, nowMs: NOW_MS, names: [] })).isNew)
})

test('a folder that can not be made is named', async (context) => {
  const folder = folderFor(context)
  writeFileSync(folder, 'a file')
  await assert.rejects(openDefaultCertificate({ folder: path.join(folder, 'ssl'), nowMs: NOW_MS, names: [] }), {
    code: 'PREFIX_UNUSABLE',
  })
})

test('a client that trusts it connects by name over TLS 1.3', async (context) => {
  const { cert, key } = await openDefaultCertificate({ folder: folderFor(context), nowMs: NOW_MS, names: [] })
  const server = createServer({ cert, key }, (socket) => socket.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  const client = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: cert,
  })
  await once(client, 'secureConnect')
  assert.deepEqual([client.authorized, client.getProtocol()], [true, 'TLSv1.3'])
  client.destroy()
})
