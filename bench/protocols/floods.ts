/** What clients of HTTP/1.1 wait while others flood the gateway by HTTP/2: their p99, in times of that without a flood. */
import path from 'node:path'
import type { Program } from '../../test/support/debian-part.ts'
import { freeGatewayPorts, startGateway } from '../../test/support/gateway.ts'
import { http2Floods } from '../../test/support/http2-floods.ts'
import { startChild } from '../../test/support/process.ts'
import { runAtRate } from '../support/h2load.ts'
import { OTHER_CORE } from '../support/machine.ts'
import { SMALL_BODY, startBackend } from '../support/subjects.ts'

const RATE = 500
const SECONDS = 4
const CONNECTIONS = 16

export interface FloodFigure {
  readonly normalP99Ms: number
  readonly p99Ms: Readonly<Record<string, number>>
  /** Of the worst. */
  readonly ratio: number
}

export async function measureFloods(programs: { readonly nginx: Program; readonly h2load: Program }) {
  const backend = await startBackend(programs.nginx)
  const ports = await freeGatewayPorts()
  const gateway = await startGateway({
    ports,
    // As many as there are cores, as by default: a flood is spread over all.
    workers: 2,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2`, overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${backend.port}`, routes: [{ paths: ['/'] }] }],
    },
  })
  const url = `http://127.0.0.1:${gateway.proxyPort}/`
  const load = { url, connections: CONNECTIONS, headers: {}, bodyBytes: SMALL_BODY.length }
  const p99 = async () => (await runAtRate(programs.h2load, load, RATE, SECONDS)).p99Ms
  try {
    await p99()
    const normalP99Ms = await p99()
    const p99Ms: Record<string, number> = {}
    for (const { name } of http2Floods) {
      // What is measured is what the gateway does to others, not what the attackers' own work does to those who measure.
      const [command, ...prefix] = [...OTHER_CORE, 'nice', '-n', '19']
      const attackers = await startChild({
        command,
        args: [
          ...prefix,
          process.execPath,
          path.join(import.meta.dirname, 'flood-child.ts'),
          name,
          String(gateway.proxyPort),
        ],
        env: process.env,
        name: 'attackers',
      })
      await attackers.waitForOutput(/ATTACKING/)
      p99Ms[name] = await p99()
      attackers.signal('SIGKILL')
    }
    const figure: FloodFigure = { normalP99Ms, p99Ms, ratio: Math.max(...Object.values(p99Ms)) / normalP99Ms }
    return figure
  } finally {
    await gateway.stop()
    await backend.stop()
  }
}
