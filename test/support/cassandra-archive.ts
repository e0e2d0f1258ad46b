import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { cached } from './cache.ts'
import { nodeCommand, probeOf, writeNodeFiles, type CassandraProgram } from './cassandra-node.ts'
import { planNodes } from './cassandra-plan.ts'
import { knownPeers } from './cql-probe.ts'
import { startChild } from './process.ts'

const READY_MS = 180_000
/** The archive is written at the end, which took 10 s on two busy cores. */
const WRITE_MS = 90_000

/**
 * The loaded classes of a Cassandra node as an archive that further nodes map: each starts about 2 s sooner, and nodes of
 * one machine share that memory. Made once, by a node that is started for it and ended. Null where Java wrote none, which
 * costs only the time.
 */
export async function classArchive(java: string, jars: string): Promise<string | null> {
  // Java takes an archive only if it and the jars, with their places and order, are those that made it.
  const hash = createHash('sha256').update(realpathSync(java)).update('\0').update(jars)
  hash.update(String(statSync(java).mtimeMs))
  for (const name of readdirSync(jars).toSorted()) hash.update('\0').update(name)
  const folder = await cached(`cassandra-classes_${hash.digest('hex').slice(0, 16)}_${process.arch}`, (into) =>
    writeArchive({ command: java, jars, archive: null }, path.join(into, FILE)),
  )
  const file = path.join(folder, FILE)
  return existsSync(file) ? file : null
}

const FILE = 'classes.jsa'

async function writeArchive(program: CassandraProgram, file: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cassandra-'))
  try {
    for (const plan of await planNodes(folder, { topology: 'dc1:1' })) {
      writeNodeFiles(plan)
      await using node = await startChild({
        ...nodeCommand(plan, program, [`-XX:ArchiveClassesAtExit=${file}`]),
        cwd: plan.folder,
        name: 'cassandra',
        endsWithParent: true,
      })
      await node.waitUntil('answering clients', async () => (await knownPeers(probeOf(plan))) !== null, READY_MS)
      await node.stop('SIGTERM', WRITE_MS)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
