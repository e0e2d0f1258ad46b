import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { cached } from './cache.ts'
import { nodeArguments, PORT, writeNodeFiles } from './cassandra-node.ts'
import { answersCql } from './cql-probe.ts'
import { freePort } from './free-port.ts'
import type { Java } from './java.ts'
import { claimLoopback } from './loopback.ts'
import { startChild } from './process.ts'

const READY_MS = 180_000
/** The archive is written at the end, which took 10 s on two busy cores. */
const WRITE_MS = 90_000

/**
 * The loaded classes of a Cassandra node as an archive that further nodes map: each starts about 2 s sooner, and nodes of
 * one machine share that memory. Made once, by a node that is started for it and ended. Null where Java wrote none, which
 * costs only the time.
 */
export async function classArchive(java: Java, jars: string): Promise<string | null> {
  // Java takes an archive only for the very jars that it was made of, in their order.
  const hash = createHash('sha256').update(java.command).update(java.version).update(jars)
  for (const name of readdirSync(jars).toSorted()) hash.update('\0').update(name)
  const folder = await cached(`cassandra-classes_${hash.digest('hex').slice(0, 16)}_${process.arch}`, (into) =>
    writeArchive(java.command, jars, path.join(into, FILE)),
  )
  const file = path.join(folder, FILE)
  return existsSync(file) ? file : null
}

const FILE = 'classes.jsa'

async function writeArchive(command: string, jars: string, file: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cassandra-'))
  try {
    const address = `${await claimLoopback(PORT)}.1`
    const plan = { folder, address, dataCenter: 'dc1', token: '0', seeds: [address], heapMb: 192, settings: {} }
    writeNodeFiles(plan)
    const jmxPort = await freePort()
    await using node = await startChild({
      command,
      args: nodeArguments(plan, { command, jars, archive: null }, jmxPort, [`-XX:ArchiveClassesAtExit=${file}`]),
      cwd: folder,
      name: 'cassandra',
    })
    await node.waitUntil('answering clients', () => answersCql({ host: address, port: PORT }), READY_MS)
    await node.stop('SIGTERM', WRITE_MS)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
