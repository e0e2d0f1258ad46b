import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { startRawUpstream, startUpstream } from './upstream-server.ts'

test('the echo upstream answers with what it received and keeps the order and case of headers', async () => {
  await using upstream = await startUpstream()
  const response = await fetch(`http://127.0.0.1:${upstream.port}/a?b=1`, { method: 'POST', body: 'hello' })
  assert.partialDeepStrictEqual(await response.json(), { method: 'POST', target: '/a?b=1', body: 'hello' })
  assert.equal(upstream.received.length, 1)
  assert.equal(upstream.received[0]?.rawHeaders[0], 'host')
})

test('the raw upstream sends the very bytes that the test writes', async () => {
  await using upstream = await startRawUpstream((socket) => socket.end('HTTP/1.1 200 OK\nbare line feeds\n'))
  const chunks: Buffer[] = []
  for await (const chunk of connect(upstream.port, '127.0.0.1')) chunks.push(chunk as Buffer)
  assert.equal(Buffer.concat(chunks).toString(), 'HTTP/1.1 200 OK\nbare line feeds\n')
  assert.equal(upstream.connections().total, 1)
})
