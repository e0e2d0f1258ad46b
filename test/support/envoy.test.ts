import assert from 'node:assert/strict'
import { connect, constants } from 'node:http2'
import { test } from 'node:test'
import { Envoy } from './envoy.ts'
import { requirePart } from './parts.ts'
import { isListening } from './process.ts'
import { startUpstream } from './upstream-server.ts'
import { within } from './wait.ts'

test('Envoy passes HTTP/2 on to a server of HTTP/1.1 and is gone after stop', async (t) => {
  const program = await requirePart(t, 'envoy')
  if (!program) return
  const upstream = await startUpstream((_request, response) => void response.end('from behind'))
  try {
    const envoy = await Envoy.start(program, { backendPort: upstream.port, backendSpeaks: 'http1', maxStreams: 8 })
    try {
      const session = connect(`http://127.0.0.1:${envoy.port}`)
      try {
        const answer = new Promise<readonly [number, string]>((resolve, reject) => {
          let [status, text] = [0, '']
          const stream = session.request({ ':path': '/' })
          stream.setEncoding('utf8')
          stream.on('response', (headers) => (status = Number(headers[constants.HTTP2_HEADER_STATUS])))
          stream.on('data', (part: string) => (text += part))
          stream.on('end', () => resolve([status, text]))
          stream.on('error', reject)
          session.on('error', reject)
          stream.end()
        })
        assert.deepEqual(await within('an answer', answer), [200, 'from behind'])
      } finally {
        session.destroy()
      }
    } finally {
      await envoy.stop()
    }
    assert.equal(await isListening(envoy.port), false)
  } finally {
    await upstream.close()
  }
})
