/**
 * A real Cassandra for developers, which lives on after the command that starts it:
 *
 *   npm run cassandra:up -- --topology dc1:3,dc2:3 --heap 256
 *   npm run cassandra:nodetool -- status
 *   npm run cassandra:down
 *
 * `--folder FOLDER` is where it keeps everything, by default beside the parts that tests fetch; two clusters need two folders.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { partsFolder } from './cache.ts'
import {
  nodeCommand,
  nodetoolCommand,
  probeOf,
  writeNodeFiles,
  type CassandraProgram,
  type NodePlan,
} from './cassandra-node.ts'
import { planNodes } from './cassandra-plan.ts'
import { knownPeers } from './cql-probe.ts'
import { locatePart } from './parts.ts'
import { runChild } from './process.ts'

const READY_MS = 300_000
const STOP_MS = 30_000
const NODETOOL_MS = 120_000

interface RunningNode {
  readonly plan: NodePlan
  readonly pid: number
}

/** Command line, and the words after it that are nodetool's own. */
const { values: options, positionals } = parseArgs({
  options: {
    topology: { type: 'string', default: 'dc1:1,dc2:1' },
    heap: { type: 'string', default: '192' },
    folder: { type: 'string', default: path.join(partsFolder(), 'cassandra-cluster') },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
const [command, ...words] = positionals
const folder = path.resolve(options.folder)
const stateFile = path.join(folder, 'nodes.json')

if (options.help || command === undefined) usage(options.help ? 0 : 2)
else if (command === 'up') await up()
else if (command === 'down') await down()
else if (command === 'nodetool') await nodetool()
else usage(2)

function usage(code: number): void {
  process.stdout.write(
    'cassandra:up [-- --topology dc1:1,dc2:1] [--heap 192] [--folder FOLDER]\n' +
      'cassandra:nodetool -- status\n' +
      'cassandra:down\n',
  )
  process.exitCode = code
}

async function up(): Promise<void> {
  const heapMb = Number(options.heap)
  if (!Number.isInteger(heapMb) || heapMb < 128) return fail(`--heap: expected MiB from 128 on, got ${options.heap}`)
  const running = readState().filter(isAlive)
  if (running.length > 0) {
    process.stdout.write(`It runs already: npm run cassandra:down ends it.\n${connectionLines(running)}`)
    return
  }
  const program = await locatePart('cassandra')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const plans = await planNodes(folder, { topology: options.topology, heapMb })
  const nodes: RunningNode[] = []
  for (const plan of plans) {
    nodes.push({ plan, pid: launch(plan, program) })
    // Also for nodes of a start that fails half way.
    writeFileSync(stateFile, JSON.stringify(nodes, null, 2))
  }
  process.stdout.write(`${nodes.length} nodes are starting, which takes about half a minute ...\n`)
  for (const node of nodes) {
    const problem = await waitUntilReady(node)
    if (problem === null) continue
    await down()
    return fail(problem)
  }
  process.stdout.write(connectionLines(nodes))
}

/** In a session of its own, with its output in a file, so that it outlives this command. */
function launch(plan: NodePlan, program: CassandraProgram): number {
  writeNodeFiles(plan)
  const output = openSync(outputFile(plan), 'w')
  try {
    const { command, args } = nodeCommand(plan, program)
    const child = spawn(command, args, { cwd: plan.folder, detached: true, stdio: ['ignore', output, output] })
    if (child.pid === undefined) throw new Error(`${command} could not be started`)
    child.unref()
    return child.pid
  } finally {
    closeSync(output)
  }
}

/** Null, or what went wrong. */
async function waitUntilReady(node: RunningNode): Promise<string | null> {
  const deadline = performance.now() + READY_MS
  while (!(await isReady(node.plan))) {
    const isLate = performance.now() > deadline
    if (isLate || !isAlive(node)) {
      const end = readFileSync(outputFile(node.plan), 'utf8').slice(-4_000)
      return `${node.plan.address} ${isLate ? `does not answer after ${READY_MS / 1000} s` : 'has ended'}\n${end}`
    }
    await sleep(200)
  }
  return null
}

/** As whoever starts a cluster for tests wants it, see `whenReady`. */
async function isReady(plan: NodePlan): Promise<boolean> {
  const peers = await knownPeers(probeOf(plan))
  return peers !== null && plan.seeds.every((seed) => seed === plan.address || peers.includes(seed))
}

async function down(): Promise<void> {
  const nodes = readState().filter(isAlive)
  for (const { pid } of nodes) process.kill(pid, 'SIGTERM')
  const deadline = performance.now() + STOP_MS
  while (nodes.some(isAlive) && performance.now() < deadline) await sleep(100)
  for (const node of nodes) if (isAlive(node)) process.kill(node.pid, 'SIGKILL')
  while (nodes.some(isAlive)) await sleep(50)
  // Only what this command has made: the folder may have been given.
  if (existsSync(stateFile)) {
    for (const { plan } of readState()) rmSync(plan.folder, { recursive: true, force: true })
    rmSync(stateFile)
  }
  process.stdout.write(`${nodes.length} nodes ended\n`)
}

async function nodetool(): Promise<void> {
  const [node] = readState().filter(isAlive)
  if (node === undefined) return fail(`no node runs in ${folder}: npm run cassandra:up`)
  const program = await locatePart('cassandra')
  const line = nodetoolCommand(node.plan, program, words.length === 0 ? ['status'] : words)
  const { code, output } = await runChild({ ...line, timeoutMs: NODETOOL_MS })
  process.stdout.write(output)
  process.exitCode = code ?? 1
}

function readState(): RunningNode[] {
  return existsSync(stateFile) ? (JSON.parse(readFileSync(stateFile, 'utf8')) as RunningNode[]) : []
}

/** A process id may have been given to another program since: only one that names the node's folder is the node. */
function isAlive({ plan, pid }: RunningNode): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(plan.folder)
  } catch {
    // Ended.
    return false
  }
}

function outputFile({ folder: ofNode }: NodePlan): string {
  return path.join(ofNode, 'output.log')
}

function connectionLines(nodes: readonly RunningNode[]): string {
  const dataCenters = Map.groupBy(nodes, ({ plan }) => plan.dataCenter)
  const replicas = [...dataCenters].map(([name, { length }]) => `${name}:${Math.min(3, length)}`).join(',')
  const lines = [`port ${nodes[0]?.plan.port}, files in ${folder}`]
  for (const [name, members] of dataCenters) {
    lines.push(
      '',
      `meridian.conf of a gateway in ${name}:`,
      '  database = cassandra',
      `  cassandra_contact_points = ${members.map(({ plan }) => plan.address).join(', ')}`,
      `  cassandra_port = ${nodes[0]?.plan.port}`,
      `  cassandra_local_datacenter = ${name}`,
      `  cassandra_data_centers = ${replicas}`,
      '  keyring_file = (of `meridian keyring create`, the same on every node)',
    )
  }
  lines.push('', 'Then: meridian migrations up')
  return `${lines.join('\n')}\n`
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = 1
}
