import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { connect, createServer, getCiphers, type Server, type SecureVersion } from 'node:tls'
import { generate } from 'selfsigned'
import type { Settings } from '#model/settings.ts'
import { tlsParameters } from '#model/settings/tls-parameters.ts'
import { CertificateTable } from './certificates.ts'
import { tlsServerOptions } from './tls-server-options.ts'

/** Mozilla's Server Side TLS 5.7, by OpenSSL's names; of `old` without what is not served: TLS 1.0, 1.1, 3DES. */
const TLS13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
const INTERMEDIATE = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'DHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
  'DHE-RSA-CHACHA20-POLY1305',
]
const OLD = [
  ...INTERMEDIATE,
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA384',
  'ECDHE-RSA-AES256-SHA384',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'DHE-RSA-AES128-SHA256',
  'DHE-RSA-AES256-SHA256',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA256',
  'AES256-SHA256',
  'AES128-SHA',
  'AES256-SHA',
]
const withoutChacha = (names: readonly string[]) => names.filter((name) => !name.includes('CHACHA20'))

let pairs: { cert: string; key: string }[] = []
const servers = new Set<Server>()

before(async () => {
  const made = async (options: object) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'a.test' }], options)
    return { cert, key }
  }
  pairs = [await made({ keyType: 'ec', curve: 'P-256' }), await made({ keySize: 2048 })]
})
after(() => {
  for (const server of servers) server.close()
})

async function listening(settings: Partial<Settings>, table: CertificateTable | null = null): Promise<number> {
  const parameters = tlsParameters({
    ssl_cipher_suite: 'intermediate',
    ssl_ciphers: null,
    ssl_protocols: ['TLSv1.2', 'TLSv1.3'],
    ssl_prefer_server_ciphers: true,
    ssl_session_tickets: true,
    ssl_session_timeout: 1000,
    ...settings,
  })
  const options = tlsServerOptions(
    {
      parameters,
      handshakeTimeoutMs: 5000,
      fallback: { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) },
      contextFor: (name, signatures) => table?.find(name, signatures),
      nameAuthorities: () => {},
      clients: { verify: 'off', authorities: null, depth: 0 },
      wish: null,
      staples: null,
    },
    Buffer.alloc(48, 1),
  )
  const server = createServer(options, (socket) => socket.on('error', () => {}).end())
  servers.add(server)
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** What is agreed on with a client that offers these; null when there is nothing. */
function agreed(
  port: number,
  ciphers: string,
  version: SecureVersion,
  servername = 'unknown.test',
): Promise<string | null> {
  return new Promise((resolve) => {
    const versions = { minVersion: version, maxVersion: version }
    const offer = version === 'TLSv1.3' ? ciphers : `${ciphers}:@SECLEVEL=0`
    const options = { port, host: '127.0.0.1', servername, rejectUnauthorized: false, ciphers: offer, ...versions }
    const socket = connect(options, () => {
      resolve(socket.getCipher().name)
      socket.destroy()
    })
    socket.on('error', () => resolve(null))
  })
}

/** Every cipher that a client of OpenSSL can offer, one after the other. */
async function served(settings: Partial<Settings>): Promise<{ tls12: string[]; tls13: string[] }> {
  const port = await listening(settings)
  const names = getCiphers().map((name) => name.toUpperCase())
  const [of13, of12] = [
    names.filter((name) => name.startsWith('TLS_')),
    names.filter((name) => !name.startsWith('TLS_')),
  ]
  const taken = async (some: readonly string[], version: SecureVersion) => {
    const answers = await Promise.all(some.map((name) => agreed(port, name, version)))
    return answers.flatMap((answer) => answer ?? []).toSorted()
  }
  return { tls12: await taken(of12, 'TLSv1.2'), tls13: await taken(of13, 'TLSv1.3') }
}

for (const [suite, tls12, tls13] of [
  ['modern', [], TLS13],
  ['intermediate', INTERMEDIATE, TLS13],
  ['old', OLD, TLS13],
  ['fips', withoutChacha(INTERMEDIATE), withoutChacha(TLS13)],
] as const)
  test(`${suite} agrees on its ciphers and on no other`, async () => {
    const found = await served({ ssl_cipher_suite: suite })
    assert.deepEqual(found, { tls12: tls12.toSorted(), tls13: tls13.toSorted() })
  })

test('custom takes the ciphers that are named for TLS 1.2, and all of TLS 1.3', async () => {
  const ciphers = 'ECDHE-RSA-AES256-GCM-SHA384:AES128-SHA'
  assert.deepEqual(await served({ ssl_cipher_suite: 'custom', ssl_ciphers: ciphers }), {
    tls12: ['AES128-SHA', 'ECDHE-RSA-AES256-GCM-SHA384'],
    tls13: TLS13.toSorted(),
  })
})

test('no suite speaks what is older than TLS 1.2, and ssl_protocols leaves out what it does not name', async () => {
  const port = await listening({ ssl_cipher_suite: 'old' })
  for (const version of ['TLSv1', 'TLSv1.1'] as const) assert.equal(await agreed(port, 'ALL', version), null)
  const only13 = await listening({ ssl_protocols: ['TLSv1.3'] })
  assert.equal(await agreed(only13, 'ALL', 'TLSv1.2'), null)
  const only12 = await listening({ ssl_protocols: ['TLSv1.2'] })
  assert.equal(await agreed(only12, TLS13.join(':'), 'TLSv1.3'), null)
  assert.equal(await agreed(only12, 'ECDHE-ECDSA-AES128-GCM-SHA256', 'TLSv1.2'), 'ECDHE-ECDSA-AES128-GCM-SHA256')
})

test('whose order counts is as ssl_prefer_server_ciphers says', async () => {
  const offer = 'AES256-SHA:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256'
  const ours = await listening({ ssl_cipher_suite: 'old', ssl_prefer_server_ciphers: true })
  assert.equal(await agreed(ours, offer, 'TLSv1.2'), 'ECDHE-RSA-AES128-GCM-SHA256')
  const theirs = await listening({ ssl_cipher_suite: 'old', ssl_prefer_server_ciphers: false })
  assert.equal(await agreed(theirs, offer, 'TLSv1.2'), 'AES256-SHA')
})

test('certificates for server names are shown with the same ciphers', async () => {
  const [ec, rsa] = pairs.map((pair, at) => ({ id: String(at), ...pair, certAlt: null, keyAlt: null }))
  const table = new CertificateTable((_id, error) => assert.fail(String(error)))
  const names = new Map([
    ['ecdsa.test', '0'],
    ['rsa.test', '1'],
  ])
  table.update([ec!, rsa!], names)
  const port = await listening({}, table)
  for (const cipher of INTERMEDIATE) {
    const [right, wrong] = cipher.includes('ECDSA') ? ['ecdsa.test', 'rsa.test'] : ['rsa.test', 'ecdsa.test']
    assert.equal(await agreed(port, cipher, 'TLSv1.2', right), cipher)
    assert.equal(await agreed(port, cipher, 'TLSv1.2', wrong), null)
  }
})

test('of two certificates for a name a client gets the one that it can verify', async () => {
  const made = async (name: string, options: object) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], options)
    return { cert, key }
  }
  const rsa = await made('rsa', { keySize: 2048 })
  const [p256, p384] = [
    await made('p256', { keyType: 'ec', curve: 'P-256' }),
    await made('p384', { keyType: 'ec', curve: 'P-384' }),
  ]
  const table = new CertificateTable((_id, error) => assert.fail(String(error)))
  table.update(
    [
      { id: '1', ...rsa, certAlt: p256.cert, keyAlt: p256.key },
      { id: '2', ...p384, certAlt: rsa.cert, keyAlt: rsa.key },
    ],
    new Map([
      ['one.test', '1'],
      ['two.test', '2'],
    ]),
  )
  const port = await listening({}, table)
  const shown = (servername: string, sigalgs: string, version: SecureVersion) =>
    new Promise((resolve, reject) => {
      const options = { port, host: '127.0.0.1', servername, rejectUnauthorized: false, sigalgs }
      const socket = connect({ ...options, minVersion: version, maxVersion: version }, () => {
        resolve(socket.getPeerCertificate().subject.CN)
        socket.destroy()
      })
      socket.on('error', reject)
    })
  const [ecdsa, both] = ['ecdsa_secp256r1_sha256', 'rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384']
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    assert.equal(await shown('one.test', 'rsa_pss_rsae_sha256', version), 'rsa')
    assert.equal(await shown('one.test', ecdsa, version), 'p256')
    assert.equal(await shown('one.test', both, version), 'p256')
    assert.equal(await shown('two.test', both, version), 'p384')
    assert.equal(await shown('two.test', `${ecdsa}:rsa_pss_rsae_sha256`, version), 'rsa')
  }
})
