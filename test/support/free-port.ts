import { closeSync, openSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

/**
 * Below the range from which the kernel takes ports for outgoing connections (32768 up), so that a port found free
 * here is not taken by a client's connection before its server binds it.
 */
const FIRST_PORT = 20_000
const LAST_PORT = 31_999
const ATTEMPTS = 100

/** A TCP port that nothing listened on a moment ago, on loopback and on all addresses. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1))
    if (given.has(port)) continue
    if (claim(port) && (await isFree(port))) {
      given.add(port)
      return port
    }
  }
  throw new Error(`no free port among ${ATTEMPTS} tried in ${FIRST_PORT}-${LAST_PORT}`)
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) ports.push(await freePort())
  return ports
}

/** Whether nothing listens on any of `count` ports from `first` on. */
export async function isFreeRange(first: number, count: number): Promise<boolean> {
  for (let port = first; port < first + count; port++) if (!(await isFree(port))) return false
  return true
}

/** Ports handed out by this process: their servers may not have bound them yet. */
const given = new Set<number>()

const CLAIM_MS = 60_000
const claims: string[] = []

/** Keeps test files that run at the same time from being given one port before the first has bound it. */
function claim(port: number): boolean {
  const file = path.join(tmpdir(), `meridian-port-${port}`)
  const made = statSync(file, { throwIfNoEntry: false })
  if (made !== undefined && Date.now() - made.mtimeMs < CLAIM_MS) return false
  rmSync(file, { force: true })
  try {
    closeSync(openSync(file, 'wx'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  if (claims.push(file) === 1)
    process.once('exit', () => {
      for (const one of claims) rmSync(one, { force: true })
    })
  return true
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
