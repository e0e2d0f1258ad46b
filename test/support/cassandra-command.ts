/**
 * A Cassandra cluster for developers, which stays when the command that started it has ended:
 *
 *     npm run cassandra:up -- --topology dc1:3,dc2:3
 *     npm run cassandra:nodetool -- status
 *     npm run cassandra:down
 *
 * There is one at a time in the cache, with its files and its state; others have a `--folder`. `up` also starts again
 * what no longer runs, on its data: after a restart of the machine, for example.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { partsFolder } from './cache.ts'
import {
  nodeArguments,
  nodetoolArguments,
  PORT,
  probeOf,
  writeNodeFiles,
  type CassandraProgram,
  type NodePlan,
} from './cassandra-node.ts'
import { planNodes } from './cassandra-plan.ts'
import { knownPeers } from './cql-probe.ts'
import { freePort } from './free-port.ts'
import { locatePart } from './parts.ts'
import { runChild } from './process.ts'

const READY_MS = 180_000
const NODETOOL_MS = 600_000
const POLL_MS = 200

interface RunningNode {
  readonly plan: NodePlan
  readonly pid: number
  readonly jmxPort: number
}

interface State {
  readonly topology: string
  readonly nodes: readonly RunningNode[]
}

const USAGE = `usage: npm run cassandra:up -- [--topology dc1:1,dc2:1] [--heap MIB] [--folder FOLDER]
       npm run cassandra:nodetool -- [--node ADDRESS] [--folder FOLDER] COMMAND...
       npm run cassandra:down -- [--folder FOLDER]`

const OPTIONS = {
  topology: { type: 'string' },
  heap: { type: 'string' },
  node: { type: 'string' },
  folder: { type: 'string', default: path.join(partsFolder(), '..', 'cassandra') },
} as const

interface Options {
  readonly topology?: string
  readonly heap?: string
  readonly node?: string
  readonly folder: string
}

async function up({ topology: wanted, heap, folder }: Options): Promise<void> {
  if (heap !== undefined && !/^\d{2,5}$/.test(heap)) throw new Error(`--heap: expected MiB, got '${heap}'`)
  const program = await locatePart('cassandra')
  const before = readState(folder)
  if (before !== null && wanted !== undefined && wanted !== before.topology)
    throw new Error(`there is a cluster ${before.topology}: first npm run cassandra:down, which deletes its data`)
  const topology = before?.topology ?? wanted ?? 'dc1:1,dc2:1'
  mkdirSync(folder, { recursive: true })
  const known = before?.nodes ?? (await newNodes(folder, topology, heap))
  const nodes: RunningNode[] = []
  for (const node of known) nodes.push(isRunning(node) ? node : await launch(node.plan, program))
  // Before the wait, so that `down` ends also what never became ready.
  writeFileSync(stateFile(folder), JSON.stringify({ topology, nodes } satisfies State, null, 2))
  await Promise.all(nodes.map((node) => whenReady(node, nodes)))
  process.stdout.write(
    `${whatRuns(nodes)}logs in ${folder}/ADDRESS/output.log\n\n${settingsLines(nodes, path.join(folder, 'keyring'))}`,
  )
}

async function newNodes(folder: string, topology: string, heap: string | undefined): Promise<RunningNode[]> {
  const plans = await planNodes(folder, { topology, ...(heap !== undefined && { heapMb: Number(heap) }) })
  return plans.map((plan) => ({ plan, pid: 0, jmxPort: 0 }))
}

async function down({ folder }: Options): Promise<void> {
  const state = readState(folder)
  if (state === null) return void process.stdout.write('there is no cluster\n')
  await Promise.all(state.nodes.filter(isRunning).map(end))
  // Only what `up` made: the folder may be one that somebody gave.
  for (const { plan } of state.nodes) rmSync(plan.folder, { recursive: true, force: true })
  rmSync(stateFile(folder))
  process.stdout.write(`ended ${state.topology} and deleted its data\n`)
}

async function nodetool({ folder, node: address }: Options, command: readonly string[]): Promise<void> {
  const nodes = readState(folder)?.nodes.filter(isRunning) ?? []
  const node = nodes.find(({ plan }) => (address ?? plan.address) === plan.address)
  if (node === undefined)
    throw new Error(`no node runs${address === undefined ? '' : ` at ${address}`}: npm run cassandra:up`)
  const { command: java, jars } = await locatePart('cassandra')
  const { code, output } = await runChild({
    command: java,
    args: nodetoolArguments(jars, node.jmxPort, node.plan.folder, command),
    timeoutMs: NODETOOL_MS,
  })
  process.stdout.write(output)
  process.exitCode = code ?? 1
}

function stateFile(folder: string): string {
  return path.join(folder, 'cluster.json')
}

function readState(folder: string): State | null {
  const file = stateFile(folder)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as State) : null
}

/** Whether the process is this node, and not another one that was given its id since. */
function isRunning({ pid, plan }: RunningNode): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`file://${plan.folder}/`)
  } catch {
    // No such process.
    return false
  }
}

async function launch(plan: NodePlan, program: CassandraProgram): Promise<RunningNode> {
  writeNodeFiles(plan)
  const jmxPort = await freePort()
  const log = openSync(logOf(plan), 'a')
  const child = spawn(program.command, nodeArguments(plan, program, jmxPort), {
    cwd: plan.folder,
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  child.unref()
  return { plan, pid: child.pid ?? 0, jmxPort }
}

function logOf(plan: NodePlan): string {
  return path.join(plan.folder, 'output.log')
}

async function whenReady(node: RunningNode, all: readonly RunningNode[]): Promise<void> {
  const others = all.filter((other) => other !== node).map(({ plan }) => plan.address)
  const deadline = performance.now() + READY_MS
  for (;;) {
    const peers = await knownPeers(probeOf(node.plan))
    if (peers !== null && others.every((address) => peers.includes(address))) return
    if (!isRunning(node) || performance.now() > deadline)
      throw new Error(`${node.plan.address} did not become ready, see ${logOf(node.plan)}`)
    await sleep(POLL_MS)
  }
}

/** At once: its data is deleted next. */
async function end(node: RunningNode): Promise<void> {
  process.kill(node.pid, 'SIGKILL')
  while (isRunning(node)) await sleep(POLL_MS)
}

function whatRuns(nodes: readonly RunningNode[]): string {
  return nodes.map(({ plan, pid }) => `${plan.dataCenter}  ${plan.address}:${PORT}  process ${pid}\n`).join('')
}

function settingsLines(nodes: readonly RunningNode[], keyring: string): string {
  const names = [...new Set(nodes.map(({ plan }) => plan.dataCenter))]
  const of = (name: string) => nodes.filter(({ plan }) => plan.dataCenter === name).map(({ plan }) => plan.address)
  // Three replicas are what a production cluster has, as far as there are nodes.
  const replicas = names.map((name) => `${name}:${Math.min(3, of(name).length)}`).join(', ')
  const files = names.map(
    (name) => `# meridian.conf of a gateway in ${name}
database = cassandra
cassandra_contact_points = ${of(name).join(', ')}
cassandra_port = ${PORT}
cassandra_local_datacenter = ${name}
cassandra_data_centers = ${replicas}
keyring_file = ${keyring}
`,
  )
  const steps = `meridian keyring create ${keyring}\nmeridian migrations up --conf meridian.conf\n`
  return `Once, before the first gateway:\n${steps}\n${files.join('\n')}`
}

const [, , action, ...args] = process.argv
try {
  const isNodetool = action === 'nodetool'
  // What follows the first word that is no option is nodetool's.
  const first = isNodetool ? firstWord(args) : args.length
  const { values } = parseArgs({ args: args.slice(0, first), options: OPTIONS })
  if (action === 'up') await up(values)
  else if (action === 'down') await down(values)
  else if (isNodetool && first < args.length) await nodetool(values, args.slice(first))
  else throw new Error(USAGE)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}

function firstWord(args: readonly string[]): number {
  let at = 0
  while (args[at]?.startsWith('--') === true) at += args[at]!.includes('=') ? 1 : 2
  return at
}
