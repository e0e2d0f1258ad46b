import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { spawnSync } from 'node:child_process'
import type { Listener } from '#model/settings/listener.ts'
import { reserveListeners } from './reserve.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-reserve-'))
after(() => rmSync(folder, { recursive: true }))

function listener(more: Partial<Listener>): Listener {
  return { host: '127.0.0.1', port: 0, ipv6Only: false, socketPath: null, ssl: false, ...more } as Listener
}

function listening(options: { port?: number; host?: string; path?: string; reusePort?: boolean }): Promise<Server> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => resolve(server))
  })
}

const portOf = (server: Server) => (server.address() as AddressInfo).port

test('a port that is left to the system is named, and free to be bound afterwards', async () => {
  const [reserved] = await reserveListeners([listener({})])
  assert.ok(reserved!.port > 0)
  const server = await listening({ port: reserved!.port, host: '127.0.0.1' })
  server.close()
})

for (const reusePort of [false, true]) {
  test(`a port that is taken ${reusePort ? 'by one who shares it ' : ''}is refused with address and port`, async () => {
    const holder = await listening({ port: 0, host: '127.0.0.1', reusePort })
    try {
      const port = portOf(holder)
      await assert.rejects(reserveListeners([listener({ port })]), { code: 'EADDRINUSE', address: '127.0.0.1', port })
    } finally {
      holder.close()
    }
  })
}

test('an address of another machine is refused', async () => {
  await assert.rejects(reserveListeners([listener({ host: '203.0.113.1' })]), { code: 'EADDRNOTAVAIL' })
})

test('a socket file that nobody answers on is removed', async () => {
  const file = path.join(folder, 'stale.sock')
  // A process that is killed leaves its socket behind.
  const script = `require('net').createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script], { timeout: 10_000 })
  assert.ok(existsSync(file))
  const [reserved] = await reserveListeners([listener({ socketPath: file })])
  assert.equal(reserved!.socketPath, file)
  assert.equal(existsSync(file), false)
})

test('a socket that is answered, and a file that is no socket, are left alone', async () => {
  const live = path.join(folder, 'live.sock')
  const plain = path.join(folder, 'plain.txt')
  writeFileSync(plain, 'kept')
  const server = await listening({ path: live })
  try {
    await reserveListeners([listener({ socketPath: live }), listener({ socketPath: plain })])
    assert.ok(existsSync(live))
    assert.ok(existsSync(plain))
  } finally {
    server.close()
  }
})
