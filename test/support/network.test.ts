import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { openNetwork, type Site } from './network.ts'
import { runChild, startChild } from './process.ts'

const DELAY_MS = 30

/** What node prints that runs `script` in a site. */
async function within(site: Site, script: string): Promise<string> {
  const [command, ...args] = [...site.wrapper, process.execPath, '-e', script]
  return (await runChild({ command, args, timeoutMs: 20_000 })).output
}

/** Milliseconds that an echo takes from a site to an address, or the error. */
const ask = (site: Site, address: string, port: number) =>
  within(
    site,
    `const socket = require('net').connect(${port}, '${address}')
     socket.setTimeout(1500, () => socket.destroy(new Error('silent')))
     socket.on('error', (error) => console.log(error.message))
     socket.once('connect', () => {
       const start = performance.now()
       socket.write('x')
       socket.once('data', () => { console.log(Math.round(performance.now() - start)); socket.destroy() })
     })`,
  )

test('sites answer each other late and the machine at once, until the line is cut; nothing is left of them', async (t) => {
  const opened = await openNetwork({ sites: ['here', 'there'], delayMs: DELAY_MS })
  if (opened.outcome === 'not_allowed') return t.skip(opened.reason)
  const { network } = opened
  const [here, there] = [network.site('here'), network.site('there')]
  try {
    const [command, ...args] = [
      ...there.wrapper,
      process.execPath,
      '-e',
      `require('net').createServer((s) => s.on('error', () => {}).pipe(s)).listen(7777, () => console.log('listening'))`,
    ]
    await using echo = await startChild({ command, args })
    await echo.waitForOutput(/listening/)

    const roundTripMs = Number(await ask(here, there.address(2), 7777))
    assert.ok(roundTripMs >= 2 * DELAY_MS && roundTripMs < 2 * DELAY_MS + 500, `${roundTripMs} ms`)

    for (const address of [there.address(0), there.nearAddress]) {
      const socket = connect(7777, address)
      await once(socket, 'connect')
      const start = performance.now()
      socket.write('x')
      await once(socket, 'data')
      assert.ok(performance.now() - start < DELAY_MS, address)
      socket.destroy()
    }
    const server = createServer((socket) => socket.pipe(socket)).listen(0)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    for (const site of [here, there]) assert.match(await ask(site, here.hostAddress, port), /^\d+\n$/)
    server.close()

    await network.cut()
    assert.equal(await ask(here, there.address(2), 7777), 'silent\n')
    await network.mend()
    assert.match(await ask(here, there.address(2), 7777), /^\d+\n$/)
  } finally {
    await network.close()
  }
  for (const { namespace } of [here, there]) {
    assert.ok(!existsSync(`/run/netns/${namespace}`))
    assert.ok(!existsSync(`/sys/class/net/${namespace}h`))
  }
})
