import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect as connectPlain } from 'node:net'
import { after, before, test } from 'node:test'
import { connect, createServer, type ConnectionOptions, type Server } from 'node:tls'
import { makeCertificate, type TestCertificate } from '../../test/support/certificates.ts'
import { ChallengeHandshakes } from './challenge-handshakes.ts'

const PROTOCOL = 'acme-tls/1'
const handshakes = new ChallengeHandshakes(2000)
let server: Server
let own: TestCertificate
let challenge: TestCertificate
const asked: string[] = []

before(async () => {
  own = await makeCertificate(['a.example'])
  challenge = await makeCertificate(['challenge.example'])
  server = createServer({ ...own, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => socket.end('served'))
  server.on('tlsClientError', () => undefined)
  handshakes.watch(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => server.close())

const source = {
  protocol: PROTOCOL,
  find: async (name: string) => {
    asked.push(name)
    if (name === 'broken.example') throw new Error('the store is unreachable')
    return name === 'a.example' ? challenge : null
  },
}

/** The names of the certificate that was shown, the protocol that was agreed on, and what came; or the code of the failure. */
async function shake(options: ConnectionOptions): Promise<readonly unknown[]> {
  const { port } = server.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, servername: 'a.example', ...options })
  let text = ''
  socket.on('data', (bytes) => (text += String(bytes)))
  try {
    await once(socket, 'secureConnect')
  } catch (error) {
    return [(error as NodeJS.ErrnoException).code]
  }
  const shown = socket.getPeerX509Certificate()!.subjectAltName
  const { alpnProtocol } = socket
  if (!socket.closed) await once(socket, 'close')
  return [shown, alpnProtocol, text]
}

test('who looks for a challenge gets its certificate and nothing else, everybody else is served', async () => {
  handshakes.source = source
  asked.length = 0
  assert.deepEqual(await shake({ ALPNProtocols: [PROTOCOL] }), ['DNS:challenge.example', PROTOCOL, ''])
  assert.deepEqual(await shake({ ALPNProtocols: [PROTOCOL], servername: 'A.Example', maxVersion: 'TLSv1.2' }), [
    'DNS:challenge.example',
    PROTOCOL,
    '',
  ])
  for (const ALPNProtocols of [['http/1.1'], ['h2', 'http/1.1'], ['http/1.1', PROTOCOL]])
    assert.deepEqual(await shake({ ALPNProtocols }), ['DNS:a.example', ALPNProtocols[0], 'served'])
  assert.deepEqual(await shake({}), ['DNS:a.example', false, 'served'])
  assert.deepEqual(asked, ['a.example', 'a.example'])
})

test('a challenge that is not there, or can not be looked up, is refused; so is any while none is looked for', async () => {
  handshakes.source = source
  const none = await shake({ ALPNProtocols: [PROTOCOL], servername: 'b.example' })
  assert.deepEqual(none, ['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'])
  assert.deepEqual(await shake({ ALPNProtocols: [PROTOCOL], servername: 'broken.example' }), ['ECONNRESET'])
  handshakes.source = null
  assert.deepEqual(await shake({ ALPNProtocols: [PROTOCOL] }), none)
  assert.deepEqual(await shake({}), ['DNS:a.example', false, 'served'])
})

test('what is no TLS, breaks off or comes byte by byte holds nothing up', async () => {
  handshakes.source = source
  const { port } = server.address() as AddressInfo
  const plain = connectPlain(port, '127.0.0.1')
  plain.on('error', () => undefined)
  plain.end('GET / HTTP/1.1\r\n\r\n')
  const left = connectPlain(port, '127.0.0.1')
  left.on('error', () => undefined)
  left.end(Buffer.from([22, 3, 1, 1, 0, 1]))
  plain.resume()
  left.resume()
  await Promise.all([once(plain, 'close'), once(left, 'close')])
  assert.deepEqual(await shake({}), ['DNS:a.example', false, 'served'])
})
