import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connect } from 'node:tls'
import { after, test } from 'node:test'
import { makeCertificate } from '../support/certificates.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { waitUntil } from '../support/wait.ts'

const gateways: Gateway[] = []
after(async () => {
  for (const gateway of gateways) await gateway.stop()
})

/** The subject of the certificate that a client of this server name is shown. */
async function shownTo(gateway: Gateway, servername: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: gateway.tlsPort, servername, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

test('a certificate whose key stands in the environment serves TLS, and neither an answer nor the log shows the key', async () => {
  const { cert, key } = await makeCertificate(['secret.test'])
  process.env['VAULTED_MY_PAIR'] = JSON.stringify({ cert, key })
  const gateway = await startGateway({ database: 'sqlite' })
  delete process.env['VAULTED_MY_PAIR']
  gateways.push(gateway)
  const send = async (method: string, path: string, body?: object) => {
    const response = await fetch(gateway.adminUrl + path, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    assert.ok(response.ok, text)
    return text
  }
  const reference = (member: string) => `{vault://pairs/my-pair/${member}}`
  const pair = { cert: reference('cert'), key: reference('key'), snis: ['secret.test'] }
  const answers = [await send('POST', '/certificates', pair)]
  assert.notEqual(await shownTo(gateway, 'secret.test'), 'secret.test', 'there is no such vault yet')
  answers.push(await send('PUT', '/vaults/pairs', { name: 'env', config: { prefix: 'vaulted_' } }))
  assert.equal(await shownTo(gateway, 'secret.test'), 'secret.test')

  answers.push(await send('GET', '/log'), await send('GET', '/certificates'))
  for (const answer of [...answers, gateway.child.output])
    assert.ok(!answer.includes('PRIVATE KEY') && !answer.includes(key.split('\n')[2]!), answer)
  assert.ok(answers.at(-1)!.includes(reference('key')))
})

test('a secret in a file is served as soon as the file has another one', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-mounted-'))
  const { cert, key } = await makeCertificate(['before.test'])
  writeFileSync(path.join(folder, 'pair'), JSON.stringify({ cert, key }))
  const gateway = await startGateway({ database: 'sqlite', settings: { vault_file_folder: folder } })
  gateways.push(gateway)
  const reference = (member: string) => `{vault://file/pair/${member}}`
  const response = await fetch(`${gateway.adminUrl}/certificates`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ cert: reference('cert'), key: reference('key'), snis: ['mounted.test'] }),
  })
  assert.equal(response.status, 201, await response.text())
  assert.equal(await shownTo(gateway, 'mounted.test'), 'before.test')
  const next = await makeCertificate(['after.test'])
  // As secrets are exchanged where they are mounted: whole, by a rename.
  writeFileSync(path.join(folder, '.new'), JSON.stringify({ cert: next.cert, key: next.key }))
  renameSync(path.join(folder, '.new'), path.join(folder, 'pair'))
  await waitUntil(
    'the other certificate is shown',
    async () => (await shownTo(gateway, 'mounted.test')) === 'after.test',
  )
  rmSync(folder, { recursive: true, force: true })
  assert.equal(await shownTo(gateway, 'mounted.test'), 'after.test', 'the last secret stays when its file is gone')
})
