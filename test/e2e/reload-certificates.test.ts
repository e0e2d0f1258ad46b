import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { makeCertificate } from '../support/certificates.ts'
import { freeGatewayPorts, startGateway } from '../support/gateway.ts'
import { freePorts } from '../support/free-port.ts'
import { waitUntil } from '../support/wait.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-reload-'))
after(() => rmSync(folder, { recursive: true }))

/** A connection after its handshake. */
function open(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => resolve(socket))
    socket.once('error', reject)
  })
}

const subjectOf = (socket: TLSSocket) => String(socket.getPeerCertificate().subject?.CN)

async function subjectAt(port: number): Promise<string> {
  const socket = await open(port)
  const subject = subjectOf(socket)
  socket.destroy()
  return subject
}

/** The first line of the answer to one more request. */
function asked(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString('latin1').split('\r\n')[0]!))
    socket.once('close', () => reject(new Error('closed without an answer')))
    socket.write('GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  })
}

test('a reload takes new certificates of Admin API and status listener into use, and keeps the old ones when a file is wrong', async () => {
  const ports = await freeGatewayPorts()
  const [adminTls = 0, statusTls = 0] = await freePorts(2)
  const files = (name: string) => ({ cert: path.join(folder, `${name}.pem`), key: path.join(folder, `${name}.key`) })
  const write = async (name: 'admin' | 'status', subject: string) => {
    const made = await makeCertificate([subject])
    writeFileSync(files(name).cert, made.cert)
    writeFileSync(files(name).key, made.key)
  }
  await write('admin', 'first.admin')
  await write('status', 'first.status')
  await using gateway = await startGateway({
    ports,
    settings: {
      admin_listen: `127.0.0.1:${ports.admin}, 127.0.0.1:${adminTls} ssl`,
      status_listen: `127.0.0.1:${ports.status}, 127.0.0.1:${statusTls} ssl`,
      admin_ssl_cert: files('admin').cert,
      admin_ssl_cert_key: files('admin').key,
      status_ssl_cert: files('status').cert,
      status_ssl_cert_key: files('status').key,
      log_level: 'info',
    },
  })
  const kept = [await open(adminTls), await open(statusTls)]
  assert.deepEqual(kept.map(subjectOf), ['first.admin', 'first.status'])
  for (const socket of kept) assert.match(await asked(socket), / 200 /)

  await write('admin', 'second.admin')
  await write('status', 'second.status')
  gateway.child.signal('SIGHUP')
  await waitUntil('new certificates are shown', async () => {
    const shown = [await subjectAt(adminTls), await subjectAt(statusTls)]
    return shown.join() === 'second.admin,second.status'
  })
  for (const socket of kept) assert.match(await asked(socket), / 200 /)
  for (const socket of kept) socket.destroy()

  await write('admin', 'third.admin')
  writeFileSync(files('status').cert, 'no certificate')
  gateway.child.signal('SIGHUP')
  await waitUntil('the mistake is told', () =>
    /status_ssl_cert\[0\]: expected a certificate in PEM/.test(gateway.child.output),
  )
  assert.match(gateway.child.output, /settings not reloaded, those before stay in force/)
  assert.deepEqual([await subjectAt(adminTls), await subjectAt(statusTls)], ['second.admin', 'second.status'])

  await write('status', 'third.status')
  gateway.child.signal('SIGHUP')
  await waitUntil('the mended certificates are shown', async () => {
    const shown = [await subjectAt(adminTls), await subjectAt(statusTls)]
    return shown.join() === 'third.admin,third.status'
  })
})
