/** Replays the recorded answers of a real Kong against a started gateway. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isFreeRange } from './free-port.ts'

export interface CaseResult {
  readonly topic: string
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly differences: readonly string[]
}

/** A case that differs from Kong on purpose, with the reason. */
export interface AcceptedDifference {
  readonly topic: string
  readonly name: string
  readonly reason: string
}

/** Where a gateway is reached, whether it is a process of its own or not. */
export interface GatewayUrls {
  readonly proxyUrl: string
  readonly tlsUrl: string
  readonly adminUrl: string
}

export interface ProxyCorpusOptions {
  readonly topics?: readonly string[]
  readonly profile?: 'default' | 'trusted'
}

const TIMEOUT_MS = 300_000
/** Characters of a runner's last words. */
const STDERR_KEPT = 10_000
/** The runner's own upstreams listen on the ports base + 1 to base + 12. */
const UPSTREAM_PORTS = 12

/** Requests through the proxy, each topic with its own configuration by POST /config: wants `database: 'off'`. */
export async function runProxyCorpus(
  corpus: string,
  gateway: GatewayUrls,
  options: ProxyCorpusOptions = {},
): Promise<CaseResult[]> {
  return await run(path.join(corpus, 'run.mjs'), [
    `--proxy=${gateway.proxyUrl}`,
    `--proxy-tls=${gateway.tlsUrl}`,
    `--admin=${gateway.adminUrl}`,
    `--echo-base=${await upstreamPortBase()}`,
    `--profile=${options.profile ?? 'default'}`,
    ...(options.topics ?? []).map((topic) => `--topic=${topic}`),
  ])
}

/** Sequences of Admin API calls; the runner empties the gateway: wants a database. */
export async function runAdminCorpus(
  corpus: string,
  gateway: Pick<GatewayUrls, 'proxyUrl' | 'adminUrl'>,
  topics: readonly string[] = [],
): Promise<CaseResult[]> {
  return await run(path.join(corpus, 'run-admin.mjs'), [
    `--admin=${gateway.adminUrl}`,
    `--proxy=${gateway.proxyUrl}`,
    ...topics.map((topic) => `--topic=${topic}`),
  ])
}

/** The results go into a file: the runners exit without waiting for a pipe, which takes no more than 64 KiB at once. */
async function run(script: string, args: readonly string[]): Promise<CaseResult[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'corpus-'))
  try {
    const results = await open(path.join(folder, 'results.json'), 'w+')
    try {
      const stderr = await finished(script, args, results.fd)
      const text = await readFile(path.join(folder, 'results.json'), 'utf8')
      return parseResults(path.basename(script), text, stderr)
    } finally {
      await results.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Exit status 1 only says that a case failed, which the results tell better. Answers what the runner said on stderr. */
function finished(script: string, args: readonly string[], stdout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args, '--json'], {
      stdio: ['ignore', stdout, 'pipe'],
      timeout: TIMEOUT_MS,
    })
    let said = ''
    child.stderr!.on('data', (bytes: Buffer) => (said = (said + bytes.toString()).slice(-STDERR_KEPT)))
    child.once('error', reject)
    child.once('close', () => resolve(said))
  })
}

function parseResults(script: string, text: string, stderr: string): CaseResult[] {
  try {
    return (JSON.parse(text) as { results: CaseResult[] }).results
  } catch (cause) {
    throw new Error(`${script} printed no results: ${stderr || text.slice(-2_000)}`, { cause })
  }
}

async function upstreamPortBase(): Promise<number> {
  for (let base = 12_000 + (process.pid % 350) * 20; base < 19_500; base += 20) {
    if (await isFreeRange(base + 1, UPSTREAM_PORTS)) return base
  }
  throw new Error(`no ${UPSTREAM_PORTS} free ports in a row below 19500`)
}

/** The tables of docs/compatibility.md: differences of the proxy, of Kong 2.8 from 3.9, of the Admin API, and of plugins that come later. */
export type DifferenceTable = 'proxy' | 'older' | 'admin' | 'later'

/**
 * Reads one table of accepted differences: rows `| topic | case | reason |` between `<!-- differences: proxy -->` and
 * `<!-- /differences -->`, so that the page a user reads is what the tests hold.
 */
export function readAcceptedDifferences(file: string, table: DifferenceTable): AcceptedDifference[] {
  const text = readFileSync(file, 'utf8')
  const start = text.indexOf(`<!-- differences: ${table} -->`)
  const end = text.indexOf('<!-- /differences -->', start)
  if (start < 0 || end < 0) throw new Error(`${file} has no <!-- differences: ${table} --> ... <!-- /differences -->`)
  return text
    .slice(start, end)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => {
      const [topic = '', name = '', reason = ''] = line
        .slice(1)
        .split(/(?<!\\)\|/)
        .map((cell) =>
          cell
            .trim()
            .replaceAll('\\|', '|')
            .replace(/^`(.*)`$/, '$1'),
        )
      return { topic, name, reason }
    })
}

const keyOf = (one: { readonly topic: string; readonly name: string }) => `${one.topic} | ${one.name}`

export interface Verdict {
  /** Differ and are not accepted: topic, case and what differs. */
  readonly unexpected: readonly string[]
  /** Accepted but pass: the page promises a difference that is gone. */
  readonly obsolete: readonly string[]
  readonly passed: number
  readonly accepted: number
}

/** Judges the results; `accepted` cases of topics that were not run say nothing. */
export function judge(results: readonly CaseResult[], accepted: readonly AcceptedDifference[]): Verdict {
  const acceptedKeys = new Set(accepted.map(keyOf))
  const failed = results.filter((result) => result.outcome === 'failed')
  const passed = results.filter((result) => result.outcome === 'passed')
  return {
    unexpected: failed
      .filter((result) => !acceptedKeys.has(keyOf(result)))
      .map((result) => `${keyOf(result)} | ${result.differences.join(' ; ').slice(0, 1_500)}`),
    obsolete: passed.map(keyOf).filter((key) => acceptedKeys.has(key)),
    passed: passed.length,
    accepted: failed.filter((result) => acceptedKeys.has(keyOf(result))).length,
  }
}
