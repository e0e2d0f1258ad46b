/** Blocks of loopback addresses for clusters whose nodes all use the same ports, as Cassandra's do. */
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** `127.64` to `127.191`: away from the addresses that people use by hand, such as 127.0.0.2 and 127.0.1.1. */
const FIRST = 64
const LAST = 191
const ATTEMPTS = 100

/**
 * The first three numbers of 254 addresses that no other process is given, and on whose first one nothing listens at
 * `port`: what a cluster left running by a process that has ended.
 */
export async function claimLoopback(port: number): Promise<string> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const second = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    const block = `127.${second}.${Math.floor(Math.random() * 256)}`
    if (claim(block) && (await isFree(`${block}.1`, port))) return block
  }
  throw new Error(`no free block of addresses among ${ATTEMPTS} tried from 127.${FIRST}.0 to 127.${LAST}.255`)
}

const claims: string[] = []

/**
 * A claim that a killed process left behind stays: there are 32,768 blocks, and of two that take an old claim over at the
 * same time both could believe to have it.
 */
function claim(block: string): boolean {
  const file = path.join(tmpdir(), `meridian-addresses-${block}`)
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
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

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
