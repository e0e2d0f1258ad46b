/**
 * Data centers with a real Redis each, and in each some nodes that limit together: limiters and exchange as gateways have them, in one
 * process, so that a test sees every decision. Data centers reach each other through relays that can be cut.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ChangedNames } from '#cluster/changed-names.ts'
import { exchangeKeys, rowsOf, type DataCenters } from '#cluster/data-centers.ts'
import { LeasedLimiter } from '#cluster/leased-limiter.ts'
import { LimitExchange } from '#cluster/limit-exchange.ts'
import { createLocalCounters, sizeFor } from '#cluster/local-counters.ts'
import { openRedisConnection } from '#cluster/redis-connection.ts'
import { RedisLimiter } from '#cluster/redis-limiter.ts'
import type { RedisEndpoint } from '#cluster/redis-endpoint.ts'
import { RedisLink } from '#cluster/redis-link.ts'
import type { Limiter } from '#model/limiter.ts'
import { BlackHole } from './black-hole.ts'
import type { Program } from './debian-part.ts'
import { freePort } from './free-port.ts'
import { SentinelBed, standaloneEndpoint, startRedis, type RedisServer } from './redis.ts'

/** Shorter than by default, so that tests are. */
export const EXCHANGE_MS = 50
const NOTE_MS = 10
/** The test's machine may be busy; nothing here is about deadlines. */
const COMMAND_MS = 1000

export interface BedNode {
  readonly dataCenter: string
  readonly counted: Limiter
  readonly leased: Limiter
}

interface Place {
  readonly name: string
  /** With Sentinel the first master. */
  readonly redis: RedisServer
  readonly failOver: FailOver | null
  readonly endpoint: RedisEndpoint
  /** To each other data center that can be cut off. */
  readonly relays: BlackHole[]
  exchange: LimitExchange
  readonly nodes: BedNode[]
}

export interface DataCenterBedOptions {
  /** Lines of each redis.conf, but for those with Sentinel. */
  readonly lines?: readonly string[]
  readonly exchangeMs?: number
  /** Those whose Redis is a master with a replica and Sentinels; they can't be cut off. */
  readonly withSentinel?: readonly string[]
}

/** A master that can be killed when its replica no longer hears of it. */
class FailOver {
  readonly sentinels: SentinelBed
  readonly #replication: BlackHole

  private constructor(sentinels: SentinelBed, replication: BlackHole) {
    this.sentinels = sentinels
    this.#replication = replication
  }

  static async start(program: Program): Promise<FailOver> {
    let relay: BlackHole | null = null
    const bed = await SentinelBed.start(program, async (master) => {
      const port = await freePort()
      relay = await BlackHole.start({ host: master.host, port }, master)
      return port
    })
    return new FailOver(bed, relay!)
  }

  get endpoint(): RedisEndpoint {
    const { sentinels, name } = this.sentinels
    const address = { host: '127.0.0.1', port: 0 }
    return {
      ...standaloneEndpoint(name, address, COMMAND_MS),
      kind: 'sentinel',
      addresses: sentinels.map(({ host, port }) => ({ host, port })),
      master: name,
    }
  }

  /** From now on the replica misses what the master does. */
  lag(): void {
    this.#replication.block()
  }

  /** What the replica has missed is lost. */
  async killMaster(): Promise<void> {
    await this.sentinels.data[0]!.kill()
    await this.#replication[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sentinels[Symbol.asyncDispose]()
    await this.#replication[Symbol.asyncDispose]()
  }
}

export class DataCenterBed {
  readonly places: Place[] = []
  readonly #links: RedisLink[] = []
  readonly #changed: ChangedNames[] = []
  readonly #names: readonly string[]

  readonly #exchangeMs: number

  private constructor(names: readonly string[], exchangeMs: number) {
    this.#names = names
    this.#exchangeMs = exchangeMs
  }

  static async start(
    program: Program,
    names: readonly string[],
    nodes: number,
    { lines = [], exchangeMs = EXCHANGE_MS, withSentinel = [] }: DataCenterBedOptions = {},
  ): Promise<DataCenterBed> {
    const bed = new DataCenterBed(names, exchangeMs)
    const servers = await Promise.all(
      names.map((name) => (withSentinel.includes(name) ? FailOver.start(program) : startRedis(program, { lines }))),
    )
    for (const [index, name] of names.entries()) {
      const own = servers[index]!
      const relays: BlackHole[] = []
      const peers: { name: string; endpoint: RedisEndpoint }[] = []
      for (const [other, peer] of names.entries()) {
        if (other === index) continue
        const theirs = servers[other]!
        if (theirs instanceof FailOver) peers.push({ name: peer, endpoint: theirs.endpoint })
        else {
          const port = await freePort()
          relays.push(await BlackHole.start({ host: theirs.host, port }, theirs))
          peers.push({ name: peer, endpoint: endpointAt(port) })
        }
      }
      const endpoint = own instanceof FailOver ? own.endpoint : endpointAt(own.port)
      const exchange = bed.#exchange(name, endpoint, peers)
      exchange.start()
      const failOver = own instanceof FailOver ? own : null
      const redis = own instanceof FailOver ? own.sentinels.data[0]! : own
      const place = { name, redis, failOver, endpoint, relays, exchange, nodes: [] as BedNode[] }
      for (let node = 0; node < nodes; node++) place.nodes.push(bed.#node(name, endpoint))
      bed.places.push(place)
    }
    return bed
  }

  get nodes(): readonly BedNode[] {
    return this.places.flatMap(({ nodes }) => nodes)
  }

  /** Whole rounds of exchange that each data center has made. */
  get rounds(): number {
    return Math.min(...this.places.map(({ exchange }) => exchange.rounds))
  }

  /** Nothing goes between data centers any more. */
  cut(): void {
    for (const { relays } of this.places) for (const relay of relays) relay.block()
  }

  heal(): void {
    for (const { relays } of this.places) for (const relay of relays) relay.heal()
  }

  /** All nodes of a data center end, and one begins that knows nothing. */
  restartNodes(name: string): void {
    const { nodes, endpoint } = this.places.find((place) => place.name === name)!
    nodes.splice(0, nodes.length, this.#node(name, endpoint))
  }

  async keysForGood(): Promise<string[]> {
    const masters = this.places.map(async ({ redis, failOver }) => (await failOver?.sentinels.master()) ?? redis)
    return (await Promise.all(masters.map(async (master) => await (await master).keysForGood()))).flat()
  }

  #exchange(
    name: string,
    endpoint: RedisEndpoint,
    peers: readonly { readonly name: string; readonly endpoint: RedisEndpoint }[],
  ): LimitExchange {
    return new LimitExchange({
      dataCenters: this.#of(name),
      local: this.#link(endpoint),
      peers: peers.map((peer) => ({ name: peer.name, link: this.#link(peer.endpoint) })),
      keyPrefix: 'm:',
      holder: randomUUID(),
      log: { warn: () => undefined, info: () => undefined },
      monotonicMs: () => performance.now(),
      delay: (ms, signal) => delay(ms, undefined, { signal }),
    })
  }

  /** One whose memory begins empty. */
  #node(name: string, endpoint: RedisEndpoint): BedNode {
    const link = this.#link(endpoint)
    const keys = exchangeKeys('m:')
    const changed = new ChangedNames({
      link,
      key: keys.changed,
      everyMs: NOTE_MS,
      later: (run, ms) => void setTimeout(run, ms),
    })
    this.#changed.push(changed)
    const common = {
      link,
      own: createLocalCounters(new SharedArrayBuffer(sizeFor(1000))),
      known: createLocalCounters(new SharedArrayBuffer(sizeFor(1000))),
      timesAlone: new Int32Array(1),
      incarnation: `${rowsOf(name)}${randomUUID().slice(0, 13)}`,
      nodes: () => 1,
      now: Date.now,
      isFaultTolerant: false,
      note: changed.note,
      release: () => undefined,
    }
    return {
      dataCenter: name,
      counted: new RedisLimiter({ ...common, name: 't', keyPrefix: 'm:traffic:' }),
      leased: new LeasedLimiter({
        ...common,
        name: 'l',
        keyPrefix: keys.leased,
        birthKey: keys.birth,
        dataCenters: this.#of(name),
      }),
    }
  }

  #of(local: string): DataCenters {
    return { local, names: [...this.#names].sort(), profile: local, exchangeMs: this.#exchangeMs }
  }

  #link(endpoint: RedisEndpoint): RedisLink {
    const link = new RedisLink({
      endpoint,
      open: openRedisConnection,
      connectTimeoutMs: 500,
      queueSize: 10_000,
      keyPrefix: 'm:',
      commands: { value: 0 },
      failures: { value: 0 },
      onState: () => undefined,
      monotonicMs: () => performance.now(),
      later: (run, ms) => {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
      afterReading: (run) => void setImmediate(run),
    })
    this.#links.push(link)
    return link
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.places.map(({ exchange }) => exchange.close()))
    await Promise.all(this.#changed.map((changed) => changed.close()))
    for (const link of this.#links) link.close()
    for (const { relays, redis, failOver } of this.places) {
      await Promise.all(relays.map((relay) => relay[Symbol.asyncDispose]()))
      await (failOver ?? redis)[Symbol.asyncDispose]()
    }
  }
}

function endpointAt(port: number): RedisEndpoint {
  return standaloneEndpoint(`127.0.0.1:${port}`, { host: '127.0.0.1', port }, COMMAND_MS)
}
