import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { adminCall } from '../support/admin-call.ts'
import { makeCertificate } from '../support/certificates.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

let gateway: Gateway
let upstream: Upstream

before(async () => {
  upstream = await startUpstream()
  gateway = await startGateway({ workers: 4, database: 'sqlite', settings: { overload_delay: '0', log_level: 'info' } })
  await admin('PUT', '/services/s', { host: '127.0.0.1', port: upstream.port })
  await admin('PUT', '/routes/r', { paths: ['/'], service: { name: 's' } })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)

interface Seen {
  readonly subject: string
  readonly protocol: string | null
  readonly isResumed: boolean
  readonly session: Buffer | undefined
  readonly status: number
}

/** One connection with one request; the certificate that was shown, and the last session that was given. */
function see(options: ConnectionOptions): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({
      port: gateway.tlsPort,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...options,
    })
    let session: Buffer | undefined
    let text = ''
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer over TLS')))
    socket.on('session', (given) => (session = given))
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
    socket.on('error', reject)
    let seen: Omit<Seen, 'session' | 'status'> | null = null
    socket.on('secureConnect', () => {
      seen = {
        subject: String(socket.getPeerCertificate().subject?.CN),
        protocol: socket.getProtocol(),
        isResumed: socket.isSessionReused(),
      }
    })
    socket.on('close', () => {
      if (seen !== null) resolve({ ...seen, session, status: Number(text.split(' ')[1]) })
    })
  })
}

const subjectFor = async (servername: string) => (await see({ servername })).subject

test('the certificate is chosen by the name that the client asks for, and changes hold at once', async () => {
  assert.equal(await subjectFor('one.example.test'), 'localhost')
  const exact = await makeCertificate(['one.example.test'])
  const wildcard = await makeCertificate(['*.example.test'])
  const { id } = await admin('POST', '/certificates', { ...exact, snis: ['one.example.test'] })
  await admin('POST', '/certificates', { ...wildcard, snis: ['*.example.test', 'right.*'] })
  assert.equal(await subjectFor('one.example.test'), 'one.example.test')
  assert.equal(await subjectFor('ONE.Example.test'), 'one.example.test')
  assert.equal(await subjectFor('two.example.test'), '*.example.test')
  assert.equal(await subjectFor('right.anything'), '*.example.test')
  assert.equal(await subjectFor('example.test'), 'localhost')
  assert.equal(await subjectFor('unknown.test'), 'localhost')

  await admin('PATCH', `/certificates/${id}`, { ...(await makeCertificate(['renewed.test'])) })
  assert.equal(await subjectFor('one.example.test'), 'renewed.test')
  await admin('DELETE', '/snis/one.example.test')
  assert.equal(await subjectFor('one.example.test'), '*.example.test')
  await admin('DELETE', `/certificates/${id}`)
})

test('a client without a server name gets the certificate of the default', async () => {
  assert.equal((await see({})).subject, 'localhost')
})

test('TLS 1.2 and 1.3 are spoken with certificates of every kind, and older versions are not', async () => {
  const made = await makeCertificate(['versions.test'])
  await admin('POST', '/certificates', { ...made, snis: ['versions.test'] })
  for (const servername of ['versions.test', 'unknown.test']) {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { protocol, status } = await see({ servername, minVersion: version, maxVersion: version })
      assert.deepEqual([protocol, status], [version, 200])
    }
    // Not by our client's own limits: it offers no more than 1.1, with ciphers that would allow it.
    await assert.rejects(see({ servername, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }))
  }
})

/** How many of `count` later connections resume a session that was given before, over whatever worker. */
async function resumed(options: ConnectionOptions, count: number): Promise<number> {
  const first = await see(options)
  assert.ok(first.session !== undefined, 'no session was given')
  let session = first.session
  let reused = 0
  for (let i = 0; i < count; i++) {
    const next = await see({ ...options, session })
    assert.equal(next.status, 200)
    if (next.isResumed) reused++
    session = next.session ?? session
  }
  return reused
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`sessions of ${version} are resumed over four workers`, async () => {
    const limits = { minVersion: version, maxVersion: version }
    for (const servername of ['', `resumed-${version.slice(-1)}.test`]) {
      if (servername !== '') {
        const made = await makeCertificate([servername])
        await admin('POST', '/certificates', { ...made, snis: [servername] })
      }
      const count = 60
      const reused = await resumed({ ...limits, ...(servername === '' ? {} : { servername }) }, count)
      assert.ok(reused >= count * 0.95, `${reused} of ${count} ${servername}`)
    }
  })
}

test('a reload takes a new default certificate into use, and sessions are resumed all the same', async () => {
  const files = { cert: path.join(gateway.prefix, 'own.pem'), key: path.join(gateway.prefix, 'own.key') }
  const write = async (name: string) => {
    const made = await makeCertificate([name])
    writeFileSync(files.cert, made.cert)
    writeFileSync(files.key, made.key)
  }
  await write('first.own')
  await using own = await startGateway({
    workers: 4,
    settings: { ssl_cert: files.cert, ssl_cert_key: files.key, log_level: 'info' },
    declarative: {
      _format_version: '3.0',
      services: [{ name: 's', host: '127.0.0.1', port: upstream.port, routes: [{ name: 'r', paths: ['/'] }] }],
    },
  })
  const at = { port: own.tlsPort }
  assert.equal((await see(at)).subject, 'first.own')
  await write('second.own')
  own.child.signal('SIGHUP')
  await waitUntil('every worker has the new one', async () => {
    const subjects = await Promise.all(Array.from({ length: 16 }, async () => (await see(at)).subject))
    return subjects.every((subject) => subject === 'second.own')
  })
  const reused = await resumed(at, 40)
  assert.ok(reused >= 38, `${reused} of 40`)
})

test('a client that speaks no TLS harms nobody else', async () => {
  const response = await fetch(`http://127.0.0.1:${gateway.tlsPort}/`).catch((error: unknown) => error)
  assert.ok(response instanceof Error || !(response as Response).ok)
  assert.equal((await see({})).status, 200)
})
