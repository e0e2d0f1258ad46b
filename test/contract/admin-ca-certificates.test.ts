import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generate } from 'selfsigned'
import { openTestAdmin } from '../support/admin.ts'

test('a CA certificate that a service of any workspace lists is not deleted, and then it is', async () => {
  await using admin = await openTestAdmin()
  const { cert } = await generate([{ name: 'commonName', value: 'ca' }], {
    extensions: [{ name: 'basicConstraints', cA: true, critical: true }],
  })
  const { id } = (await admin.call('POST', '/ca_certificates', { cert })).json
  await admin.call('PUT', '/services/plain', { host: 'h' })
  await admin.call('POST', '/workspaces', { name: 'team' })
  const lists = { host: 'h', protocol: 'https', ca_certificates: [id] }
  const service = await admin.call('PUT', '/team/services/s', lists)
  assert.equal(service.status, 200, service.text)

  const refused = await admin.call('DELETE', `/ca_certificates/${id}`)
  assert.equal(refused.status, 400)
  assert.deepEqual(refused.json, {
    message: `ca certificate ${id} is still referenced by services (id = ${service.json.id})`,
    name: 'referenced by others',
    code: 19,
  })
  assert.equal((await admin.call('GET', `/ca_certificates/${id}`)).status, 200)

  await admin.call('PATCH', '/team/services/s', { ca_certificates: [] })
  assert.equal((await admin.call('DELETE', `/ca_certificates/${id}`)).status, 204)
  assert.equal((await admin.call('DELETE', `/ca_certificates/${id}`)).status, 204)
})
