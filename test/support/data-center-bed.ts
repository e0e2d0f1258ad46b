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
import { RedisLink } from '#cluster/redis-link.ts'
import type { Limiter } from '#model/limiter.ts'
import { BlackHole } from './black-hole.ts'
import type { Program } from './debian-part.ts'
import { freePort } from './free-port.ts'
import { standaloneEndpoint, startRedis, type RedisServer } from './redis.ts'

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
  readonly redis: RedisServer
  /** To each other data center. */
  readonly relays: BlackHole[]
  exchange: LimitExchange
  readonly nodes: BedNode[]
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

  /** `lines` are of each redis.conf. */
  static async start(
    program: Program,
    names: readonly string[],
    nodes: number,
    lines: readonly string[] = [],
    exchangeMs = EXCHANGE_MS,
  ): Promise<DataCenterBed> {
    const bed = new DataCenterBed(names, exchangeMs)
    const servers = await Promise.all(names.map(() => startRedis(program, { lines })))
    for (const [index, name] of names.entries()) {
      const redis = servers[index]!
      const relays: BlackHole[] = []
      const peers: { name: string; port: number }[] = []
      for (const [other, peer] of names.entries()) {
        if (other === index) continue
        const port = await freePort()
        relays.push(
          await BlackHole.start({ host: '127.0.0.1', port }, { host: '127.0.0.1', port: servers[other]!.port }),
        )
        peers.push({ name: peer, port })
      }
      const exchange = bed.#exchange(name, redis, peers)
      exchange.start()
      const place = { name, redis, relays, exchange, nodes: [] as BedNode[] }
      for (let node = 0; node < nodes; node++) place.nodes.push(bed.#node(name, redis))
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
    const { nodes, redis } = this.places.find((place) => place.name === name)!
    nodes.splice(0, nodes.length, this.#node(name, redis))
  }

  async keysForGood(): Promise<string[]> {
    return (await Promise.all(this.places.map(({ redis }) => redis.keysForGood()))).flat()
  }

  #exchange(
    name: string,
    redis: RedisServer,
    peers: readonly { readonly name: string; readonly port: number }[],
  ): LimitExchange {
    return new LimitExchange({
      dataCenters: this.#of(name),
      local: this.#link(redis.port),
      peers: peers.map((peer) => ({ name: peer.name, link: this.#link(peer.port) })),
      keyPrefix: 'm:',
      holder: randomUUID(),
      log: { warn: () => undefined, info: () => undefined },
      monotonicMs: () => performance.now(),
      delay: (ms, signal) => delay(ms, undefined, { signal }),
    })
  }

  /** One whose memory begins empty. */
  #node(name: string, redis: RedisServer): BedNode {
    const link = this.#link(redis.port)
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

  #link(port: number): RedisLink {
    const endpoint = standaloneEndpoint(`127.0.0.1:${port}`, { host: '127.0.0.1', port }, COMMAND_MS)
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
    for (const { relays, redis } of this.places) {
      await Promise.all(relays.map((relay) => relay[Symbol.asyncDispose]()))
      await redis[Symbol.asyncDispose]()
    }
  }
}
