/**
 * `npm run bench:protocols`: what HTTP/2, gRPC and WebSocket cost beside nginx and Envoy, and what a flood of HTTP/2 does to others.
 *
 *   --only http2,grpc,websocket,floods   some parts
 *   --rounds 5                           rounds of each (3)
 *   --share 0.25                         part of the requests of each round (1)
 *   --flood 'pings|settings'             those floods (all, for which it takes some minutes)
 *
 * Prints JSON. Exit status 1 when a limit is missed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { locatePart } from '../../test/support/parts.ts'
import { checkMachine } from '../support/machine.ts'
import { measureFloods } from './floods.ts'
import { measureGrpc, measureHttp2, type Http2Ratio } from './http2.ts'
import { measureWebSocket } from './websocket.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'http2,grpc,websocket,floods' },
    rounds: { type: 'string', default: '3' },
    share: { type: 'string', default: '1' },
    flood: { type: 'string', default: '' },
  },
})

checkMachine()
const [nginx, h2load] = await Promise.all([locatePart('nginx'), locatePart('h2load')])
const envoy = await locatePart('envoy').catch((error: Error) => {
  process.stderr.write(`no figures of Envoy: ${error.message}\n`)
  return null
})
const programs = { nginx, h2load, envoy }
const rounds = Number(options.rounds)
const share = Number(options.share)
if (!(share > 0)) throw new Error(`--share: expected a number over 0, got ${options.share}`)
const requests = (count: number): number => Math.ceil(count * share)
const folder = mkdtempSync(path.join(tmpdir(), 'meridian-protocols-'))
/** At most so many times nginx's CPU time, or for floods the p99 without them. */
const parts = {
  http2: { limit: 1.6, measure: () => measureHttp2(programs, requests(60_000), rounds) },
  grpc: { limit: 1.6, measure: () => measureGrpc(programs, requests(20_000), rounds, folder) },
  websocket: { limit: 1.5, measure: () => measureWebSocket(nginx, requests(60_000), rounds) },
  floods: { limit: 2, measure: () => measureFloods(programs, new RegExp(options.flood), rounds) },
} as const
const wanted = options.only.split(',')
const unknown = wanted.filter((name) => !Object.hasOwn(parts, name))
if (unknown.length > 0)
  throw new Error(`--only: expected some of ${Object.keys(parts).join(', ')}; got ${unknown.join(', ')}`)
const report: Record<string, unknown> = {}
try {
  for (const [name, { limit, measure }] of Object.entries(parts)) {
    if (!wanted.includes(name)) continue
    const figure = await measure()
    report[name] = { ...figure, limit }
    // Against Envoy only the plain GET has a limit.
    const { ratioToEnvoy = null }: Partial<Http2Ratio> = name === 'http2' ? figure : {}
    if (figure.ratio > limit || (ratioToEnvoy !== null && ratioToEnvoy >= 1)) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
