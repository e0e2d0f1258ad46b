/** Load by h2load: a new TLS session for each connection, and a constant rate; neither of which wrk can do. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from '../../test/support/debian-part.ts'
import { runChild } from '../../test/support/process.ts'
import { OTHER_CORE } from './machine.ts'

const TIMEOUT_MS = 120_000

export interface H2loadOptions {
  readonly url: string
  readonly connections: number
  readonly headers: Readonly<Record<string, string>>
  readonly bodyBytes: number
  /** Put before the command; by default it runs on the other core. */
  readonly wrapper?: readonly string[]
}

async function run(program: Program, options: H2loadOptions, args: readonly string[]): Promise<string> {
  const headers = Object.entries(options.headers).map(([name, value]) => `--header=${name}: ${value}`)
  const [command = '', ...prefix] = options.wrapper ?? OTHER_CORE
  const { code, output } = await runChild({
    command,
    args: [...prefix, program.command, '--h1', '-t1', `-c${options.connections}`, ...args, ...headers, options.url],
    env: { ...process.env, ...program.env },
    timeoutMs: TIMEOUT_MS,
  })
  if (code !== 0) throw new Error(`h2load ended with exit code ${code}\n${output}`)
  checkAnswers(output, options.bodyBytes)
  return output
}

/** All answered, all with a 2xx status, and as many bytes of body as so many right answers have. */
function checkAnswers(output: string, bodyBytes: number): void {
  const [, total, done, succeeded] =
    /requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded/.exec(output) ?? []
  const [, successes] = /status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(output) ?? []
  const [, bytes] = /\((\d+)\) data/.exec(output) ?? []
  const isWhole = total !== undefined && done === total && succeeded === total && successes === total
  if (!isWhole || Number(bytes) !== Number(total) * bodyBytes) throw new Error(`h2load got wrong answers\n${output}`)
}

/** `requests` requests, each over a connection, and with TLS a full handshake, of its own. */
export async function runOneRequestPerConnection(
  program: Program,
  options: H2loadOptions,
  requests: number,
): Promise<void> {
  await run(program, { ...options, headers: { ...options.headers, connection: 'close' } }, [`-n${requests}`])
}

export interface RateResult {
  readonly requests: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
}

/** A constant rate over all connections together, for some seconds. */
export async function runAtRate(
  program: Program,
  options: H2loadOptions,
  requestsPerSecond: number,
  seconds: number,
): Promise<RateResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-h2load-'))
  try {
    const log = path.join(folder, 'requests.tsv')
    const perConnection = requestsPerSecond / options.connections
    const total = Math.round(requestsPerSecond * seconds)
    await run(program, options, [`--rps=${perConnection.toFixed(2)}`, `-n${total}`, `--log-file=${log}`])
    return percentiles(readFileSync(log, 'latin1'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Lines of start time, status and duration, tab-separated, times in microseconds. */
function percentiles(log: string): RateResult {
  const durations = Float64Array.from(
    log.trimEnd().split('\n'),
    (line) => Number(line.slice(line.lastIndexOf('\t') + 1)) / 1_000,
  ).sort()
  const at = (share: number) =>
    durations[Math.min(durations.length - 1, Math.floor(durations.length * share))] ?? Number.NaN
  return { requests: durations.length, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) }
}
