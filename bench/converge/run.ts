/**
 * `npm run bench:converge`: a cluster of two data centers that are 80 ms apart, on one machine, against bench/converge/limits.ts.
 * Gateways a and b are in dc1, c is in dc2, one worker each; changes go through a.
 *
 *   --only changes,keys     some of: idle, changes, keys, bulk, purge, near, start (the last one ends Cassandra)
 *   --topology dc1:3,dc2:3  Cassandra nodes
 *   --delay 40              milliseconds between the data centers, each way
 *   --heap 256              MiB for each of them
 *   --paxos v2              Cassandra's paxos_variant
 *   --changes 1000          changes measured
 *   --load 20               requests a second to each gateway meanwhile
 *   --keys 5000             credentials created
 *   --purges 50             purges by tag
 *   --routes 50000 --credentials 100000   what the started gateway has to load
 *   --json                  prints JSON instead of a table
 *   --record                writes docs/converge.json and the table in docs/performance.md
 *
 * Exit status 1 when a limit is missed, 0 with a note where network namespaces are not allowed.
 */
import { parseArgs } from 'node:util'
import { openNetwork } from '../../test/support/network.ts'
import { locatePart } from '../../test/support/parts.ts'
import { startRedis } from '../../test/support/redis.ts'
import { provenance } from '../support/machine.ts'
import { measureBulk } from './bulk.ts'
import { measureChanges, measureWoken } from './changes.ts'
import { openBed, type Bed, type GatewaySeat } from './cluster.ts'
import { measureIdle } from './idle.ts'
import { measureKeys } from './keys.ts'
import type { ConvergeFigure } from './limits.ts'
import { measurePurges } from './purge.ts'
import { recordConverge, tableOf } from './report.ts'
import { measureStart } from './start.ts'

const PARTS = ['idle', 'changes', 'keys', 'bulk', 'purge', 'near', 'start']

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    topology: { type: 'string', default: 'dc1:3,dc2:3' },
    delay: { type: 'string', default: '40' },
    heap: { type: 'string', default: '256' },
    paxos: { type: 'string', default: 'v2' },
    changes: { type: 'string', default: '1000' },
    load: { type: 'string', default: '20' },
    keys: { type: 'string', default: '5000' },
    purges: { type: 'string', default: '50' },
    routes: { type: 'string', default: '50000' },
    credentials: { type: 'string', default: '100000' },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
})

async function main(): Promise<void> {
  const wanted = selected()
  const delayMs = number('delay')
  const opened = await openNetwork({ sites: ['dc1', 'dc2'], delayMs })
  if (opened.outcome === 'not_allowed') {
    process.stdout.write(`Nothing was measured: ${opened.reason}\n`)
    return
  }
  say(`Cassandra ${options.topology} ...`)
  const bed = await openBed(opened.network, options.topology, number('heap'), { paxos_variant: options.paxos })
  const figures: ConvergeFigure[] = []
  try {
    await measure(bed, wanted, figures)
  } finally {
    await bed.close()
  }
  const measured = provenance(`Cassandra ${options.topology}, paxos_variant ${options.paxos}, ${2 * delayMs} ms apart`)
  if (options.json) process.stdout.write(`${JSON.stringify({ measured, figures }, null, 2)}\n`)
  else process.stdout.write(`${tableOf(figures)}\n`)
  if (options.record) recordConverge(figures, measured)
  if (figures.some(({ isHeld }) => !isHeld)) process.exitCode = 1
}

async function measure(bed: Bed, wanted: ReadonlySet<string>, figures: ConvergeFigure[]): Promise<void> {
  const seats: GatewaySeat[] = []
  for (const [name, dataCenter] of [
    ['a', 'dc1'],
    ['b', 'dc1'],
    ['c', 'dc2'],
  ] as const) {
    say(`gateway ${name} ...`)
    seats.push(await bed.startGateway(name, dataCenter))
  }
  /** They would follow what is written for others, on the same two cores. */
  const stopAll = async () => {
    await Promise.all(seats.splice(0).map((seat) => seat.stop()))
  }
  const parts: [string, () => Promise<ConvergeFigure[]>][] = [
    ['idle', () => measureIdle(bed, seats.length)],
    ['changes', () => measureChanges(bed, seats, { changes: number('changes'), load: number('load') })],
    ['keys', () => measureKeys(seats[0]!, number('keys'))],
    ['bulk', () => measureBulk(seats[0]!)],
    ['purge', () => measurePurges(bed, seats, number('purges'))],
    [
      'near',
      async () => {
        await stopAll()
        await using redis = await startRedis(await locatePart('redis'), {
          host: bed.network.site('dc1').hostAddress,
        })
        const settings = { redis_profiles: `wake=redis://${redis.host}:${redis.port}`, redis_wake: 'wake' }
        const woken = [
          await bed.startGateway('e', 'dc1', { settings }),
          await bed.startGateway('f', 'dc1', { settings }),
        ]
        try {
          return await measureWoken(bed, woken, { changes: number('changes'), load: number('load') })
        } finally {
          await Promise.all(woken.map((seat) => seat.stop()))
        }
      },
    ],
    [
      'start',
      async () => {
        await stopAll()
        return await measureStart(bed, { routes: number('routes'), credentials: number('credentials') })
      },
    ],
  ]
  for (const [name, act] of parts) {
    if (!wanted.has(name)) continue
    say(`${name} ...`)
    try {
      figures.push(...(await act()))
    } catch (error) {
      // One part that can't be measured is no reason to lose the others.
      process.stderr.write(`${name} could not be measured: ${(error as Error).stack}\n`)
      process.exitCode = 1
    }
  }
}

function selected(): ReadonlySet<string> {
  const wanted = options.only.split(',')
  const unknown = wanted.filter((name) => !PARTS.includes(name))
  if (unknown.length > 0) throw new Error(`--only: expected some of ${PARTS.join(', ')}; got ${unknown.join(', ')}`)
  return new Set(wanted)
}

function number(name: 'delay' | 'heap' | 'changes' | 'load' | 'keys' | 'purges' | 'routes' | 'credentials'): number {
  const value = Number(options[name])
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name}: expected a number, got ${options[name]}`)
  return value
}

function say(what: string): void {
  process.stderr.write(`${what}\n`)
}

await main()
