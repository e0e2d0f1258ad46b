/** request-validator on a real gateway: what passes reaches the upstream unchanged, what does not never does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

const OPENAPI = `
openapi: 3.1.0
servers: [{ url: /pets }]
paths:
  /{id}:
    put:
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer } }
        - { name: dry, in: query, schema: { type: boolean } }
      requestBody:
        required: true
        content:
          application/json:
            schema: { $ref: '#/components/schemas/Pet' }
components:
  schemas:
    Pet:
      type: object
      required: [name]
      properties: { name: { type: string, minLength: 1 } }
`
const json = { 'content-type': 'application/json' }

test('a configuration is checked when it is written, and then holds for every worker', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startGateway({ database: 'sqlite', workers: 2 })
  const write = async (at: string, body: object) => ask(gateway.adminUrl + at, { method: 'POST', body })
  await write('/services', { name: 's', host: '127.0.0.1', port: upstream.port })
  await write('/services/s/routes', { name: 'pets', paths: ['/pets'], strip_path: false })
  const remote = OPENAPI.replace("'#/components/schemas/Pet'", "'http://127.0.0.1/pet.json'")
  const refused = await write('/routes/pets/plugins', { name: 'request-validator', config: { openapi: remote } })
  assert.equal(refused.status, 400)
  assert.match(refused.text, /"openapi":"\/paths\/~1\{id\}\/put\/requestBody.*expected a reference into this document/)

  const config = { openapi: OPENAPI, verbose_response: true }
  const made = await write('/routes/pets/plugins', { name: 'request-validator', config })
  assert.equal(made.status, 201, made.text)

  const put = async (at: string, body: string, headers: Record<string, string> = json) => {
    const reply = await fetch(`${gateway.proxyUrl}${at}`, {
      method: 'PUT',
      body,
      headers,
      signal: AbortSignal.timeout(10_000),
    })
    const { message } = (await reply.json()) as { message?: string }
    return reply.status === 200 ? 'passed' : `${reply.status} ${message}`
  }
  const body = '{ "name" : "Rex" }'
  const answers = await Promise.all(Array.from({ length: 8 }, () => put('/pets/7?dry=true', body)))
  assert.deepEqual(new Set(answers), new Set(['passed']))
  assert.ok(upstream.received.every((request) => request.body.toString() === body))
  const before = upstream.received.length
  assert.equal(await put('/pets/x', body), "400 path 'id' must be integer")
  assert.equal(await put('/pets/7?dry=no', body), "400 query 'dry' must be boolean")
  assert.equal(await put('/pets/7', '{"name":""}'), '400 request body /name must NOT have fewer than 1 characters')
  assert.equal(await put('/pets/7', '{"name":"a","name":"b"}'), '400 request body has a member twice')
  assert.equal(await put('/pets/7', 'x', { 'content-type': 'text/plain' }), '400 specified Content-Type is not allowed')
  assert.equal(await put('/pets/7/toys', body), '404 no operation is described for this request')
  assert.equal((await ask(`${gateway.proxyUrl}/pets/7`)).headers['allow'], 'PUT')
  assert.equal(upstream.received.length, before)

  const metrics = await ask(`${gateway.adminUrl}/metrics`)
  assert.match(
    metrics.text,
    /meridian_plugin_refusals_total\{[^}]*plugin="request-validator",reason="parameter"[^}]*\} 2/,
  )
})
