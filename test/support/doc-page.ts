/** Runs the examples of a documentation page: its blocks of commands, against gateways that its blocks of YAML configure. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { freeGatewayPorts, startGateway, type Gateway, type GatewayPorts } from './gateway.ts'
import { startChild, type Child } from './process.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const COMMAND_TIMEOUT_MS = 15_000
/** The upstream of the examples, which answers with what it got. */
const ECHO = 'docs/plugins/examples/echo.mjs'
const ECHO_PORT = 9000
/** Where receivers of logs listen in the examples. */
const RECEIVER_PORT = 9001
/** The identity provider of the examples, which a page has that says how to start it. */
const IDENTITY_PROVIDER = 'docs/plugins/examples/identity-provider.mjs'
const IDENTITY_PORT = 9002
/** Commands that start the gateway: the test starts its own, on ports that are free. */
const STARTS = /^(npm start|node docs\/plugins\/examples\/(echo|identity-provider)\.mjs)/

export interface Block {
  readonly language: string
  readonly text: string
  /** Where its first line stands in the page, from 1. */
  readonly line: number
}

export interface Step {
  readonly command: string
  /** What the page shows: a line `...` stands for any lines, `…` within a line for any text. */
  readonly output: readonly string[]
}

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  for (const match of page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)) {
    blocks.push({
      language: match[1] ?? '',
      text: match[2] ?? '',
      line: page.slice(0, match.index).split('\n').length + 1,
    })
  }
  return blocks
}

/** Commands of a `console` block (lines that begin with `$ `) with the output below them. */
export function stepsOf({ text }: Block): Step[] {
  const steps: { command: string; output: string[] }[] = []
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const last = steps.at(-1)
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: [] })
    else if (last?.command.endsWith('\\') === true && last.output.length === 0)
      last.command = `${last.command.slice(0, -1)} ${line.trim()}`
    else last?.output.push(line)
  }
  return steps
}

/** Null when the output is what the page shows, else the first line of the page that it lacks. */
export function missingLine(shown: readonly string[], output: string): string | null {
  const lines = plain(output).split('\n')
  let at = 0
  let mayElide = false
  for (const text of shown.map((line) => plain(line).trimEnd())) {
    if (text === '...') {
      mayElide = true
      continue
    }
    const pattern = new RegExp(`^${text.split('…').map(RegExp.escape).join('.*')}$`)
    const limit = mayElide ? lines.length : at + 1
    while (at < limit && !pattern.test((lines[at] ?? '').trimEnd())) at++
    if (at >= limit) return text
    at++
    mayElide = false
  }
  return null
}

/** What is another one at each run: ids, times, dates, counts of bytes that depend on them. */
function plain(text: string): string {
  return text
    .replaceAll('\r', '')
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<id>')
    .replaceAll(/\b[0-9a-f]{32,64}\b/g, '<id>')
    .replaceAll(/\b[A-Za-z0-9]{32}\b/g, '<id>')
    .replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT/g, '<date>')
    .replaceAll(/\b(created_at|updated_at)(":)\d+/g, '$1$2<time>')
    .replaceAll(/^(RateLimit-Reset|Retry-After|Content-Length|X-Kong-[A-Za-z]+-Latency): \d+$/gm, '$1: <number>')
}

export interface PageRun {
  readonly problems: readonly string[]
  readonly commands: number
}

/**
 * Runs all of a page from its top; each YAML block starts another gateway, without one it runs on an empty embedded store. `script`
 * starts it; by default the sources.
 */
export async function runPage(file: string, script?: readonly string[]): Promise<PageRun> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-page-'))
  const echoPort = await freePort()
  const ports = await freeGatewayPorts()
  const identityPort = await freePort()
  const pairs = shownPorts(ports, echoPort, await freePort(), identityPort)
  const real = replacing(pairs)
  const shown = replacing(pairs.map(([one, other]) => [other, one]))
  const given = script === undefined ? {} : { script }
  let gateway: Gateway | null = null
  let echo: Child | null = null
  let provider: Child | null = null
  let commands = 0
  const problems: string[] = []
  try {
    echo = await startChild({ command: process.execPath, args: [ECHO, String(echoPort)], cwd: ROOT, name: 'echo' })
    await echo.waitForOutput(/listens/)
    const page = readFileSync(path.join(ROOT, file), 'utf8')
    if (page.includes(IDENTITY_PROVIDER)) provider = await startIdentityProvider(identityPort, ports.proxy)
    const settings = Object.fromEntries(
      [...page.matchAll(/^\$ npm start.* --set (\w+)=(\S+)/gm)].map((m) => [m[1], m[2]]),
    )
    for (const block of blocksOf(page)) {
      if (block.language === 'yaml') {
        await gateway?.stop()
        const declarative = path.join(folder, `${block.line}.yaml`)
        writeFileSync(declarative, real(block.text))
        gateway = await startGateway({ declarative, ports, workers: 2, settings, ...given })
      }
      if (block.language !== 'console') continue
      for (const { command, output } of stepsOf(block)) {
        if (STARTS.test(command)) continue
        gateway ??= await startGateway({ database: 'sqlite', ports, workers: 2, ...given })
        const got = shown(await run(real(command)))
        commands++
        const missing = missingLine(output, got)
        if (missing !== null)
          problems.push(`${file}:${block.line}: $ ${command}\n  expected: ${missing}\n  got:\n${got}`)
      }
    }
    return { problems, commands }
  } finally {
    await gateway?.stop()
    await echo?.stop()
    await provider?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function startIdentityProvider(port: number, proxyPort: number): Promise<Child> {
  const args = [IDENTITY_PROVIDER, String(port), `http://127.0.0.1:${proxyPort}`]
  const child = await startChild({ command: process.execPath, args, cwd: ROOT, name: 'identity provider' })
  await child.waitForOutput(/listens on/)
  return child
}

function shownPorts(
  { proxy, tls, admin, status }: GatewayPorts,
  echo: number,
  receiver: number,
  identity: number,
): (readonly [number, number])[] {
  return [
    [8000, proxy],
    [8443, tls],
    [8001, admin],
    [8007, status],
    [ECHO_PORT, echo],
    [RECEIVER_PORT, receiver],
    [IDENTITY_PORT, identity],
  ]
}

/** All at once, so that a port put in is not taken for one to replace. */
function replacing(ports: readonly (readonly [number, number])[]): (text: string) => string {
  const byPort = new Map(ports.map(([from, to]) => [String(from), String(to)]))
  const pattern = new RegExp(`\\b(${[...byPort.keys()].join('|')})\\b`, 'g')
  return (text) => text.replaceAll(pattern, (port) => byPort.get(port)!)
}

async function run(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], {
    cwd: ROOT,
    timeout: COMMAND_TIMEOUT_MS,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  })
  return stdout
}
