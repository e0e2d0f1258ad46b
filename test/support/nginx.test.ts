import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { startNginx } from './nginx.ts'
import { requirePart } from './parts.ts'
import { isListening } from './process.ts'

test('nginx serves on its own port from its own folder and is gone after stop', async (t) => {
  const program = await requirePart(t, 'nginx')
  if (!program) return
  const nginx = await startNginx(program, {
    http: ([port]) => `server { listen 127.0.0.1:${port}; location / { return 200 "from nginx\\n"; } }`,
  })
  const response = await fetch(`http://127.0.0.1:${nginx.port}/`)
  assert.equal(await response.text(), 'from nginx\n')
  await nginx.stop()
  assert.equal(await isListening(nginx.port), false)
  assert.equal(existsSync(nginx.prefix), false)
})

test('a configuration that nginx refuses is told with its message', async (t) => {
  const program = await requirePart(t, 'nginx')
  if (!program) return
  await assert.rejects(
    startNginx(program, { http: () => 'no_such_directive on;' }),
    /unknown directive "no_such_directive"/,
  )
})
