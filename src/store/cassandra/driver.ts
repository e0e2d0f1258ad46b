/**
 * The one door to a Cassandra cluster: the only file that knows the driver package. It connects in the background and keeps at it,
 * so a dead contact point or a wrong name never stops what opens it; each statement has a deadline; only the local data center is
 * asked. What fails is told as `CassandraFailure`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Client, policies, types, type Host, type QueryOptions } from 'cassandra-driver'
import { explainConnectFailure, explainDriverFailure, type StatementKind } from './driver-failure.ts'
import {
  CassandraFailure,
  type ReadConsistency,
  type SerialConsistency,
  type Value,
  type WriteConsistency,
} from './port.ts'

export interface DriverOptions {
  /** Names or addresses; a port of their own may follow a colon. Resolved again at each reconnection. */
  readonly contactPoints: readonly string[]
  readonly port: number
  readonly localDataCenter: string
  readonly tls?: { readonly verify: boolean; /** PEM; the system's authorities when absent. */ readonly ca?: string }
  readonly credentials?: { readonly username: string; readonly password: string }
  /** Addresses as the nodes tell them, and where they are reached from here: behind a NAT, for example. */
  readonly addresses?: ReadonlyMap<string, string>
  readonly connectTimeoutMs?: number
  /** Deadline of a statement that names none. */
  readonly timeoutMs?: number
  /** How often the list of nodes is read again, besides what the cluster tells by itself; 0: never. */
  readonly refreshMs?: number
  readonly observer?: DriverObserver
}

/** What happens between statements. */
export interface DriverObserver {
  connected?(): void
  /** An attempt failed; the next one follows. */
  connectFailed?(failure: CassandraFailure): void
  nodeUp?(address: string, dataCenter: string): void
  nodeDown?(address: string, dataCenter: string): void
  /** A connection to a node of another data center is open. */
  remoteContact?(address: string, dataCenter: string): void
}

/** Binds nothing: the statement leaves the column as it is. */
export const LEFT_OUT = Symbol('left out')
export type Bound = Value | typeof LEFT_OUT

export interface StatementOptions {
  readonly kind: StatementKind
  readonly consistency: ReadConsistency | WriteConsistency | 'ONE' | 'ALL'
  readonly serial?: SerialConsistency
  readonly timeoutMs?: number
  readonly pageSize?: number
  readonly pageState?: string
  /** False for statements that run once, such as DDL. */
  readonly isPrepared?: boolean
}

export interface StatementResult {
  /** `bigint` columns as numbers; what has no type of the port (in the system's tables) as text. */
  readonly rows: readonly Readonly<Record<string, Value>>[]
  /** Where the next page begins; null after the last. */
  readonly pageState: string | null
  /** After DDL: whether every node has the same schema now. */
  readonly isSchemaInAgreement: boolean
}

export interface CassandraDriver {
  execute(statement: string, values: readonly Bound[], options: StatementOptions): Promise<StatementResult>
  /** One unlogged batch. */
  executeAll(
    statements: readonly { readonly statement: string; readonly values: readonly Bound[] }[],
    options: StatementOptions,
  ): Promise<void>
  /** Resolves when connected; rejects with the failure of the last attempt. */
  whenConnected(timeoutMs: number): Promise<void>
  /** The schemas that nodes have, as one of them sees it, each with the addresses of its nodes. One that is down keeps its last. */
  schemaVersions(): Promise<ReadonlyMap<string, readonly string[]>>
  readonly isConnected: boolean
  /** Connections to nodes of other data centers since the start. */
  readonly remoteContacts: number
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 5000
const TIMEOUT_MS = 5000
/** As soon as a node is back it should be used; a node that is asked once a second doesn't feel it. */
const RECONNECT_MS = 1000
/** Finds connections that died in silence well before a statement's deadline has passed many times. */
const HEARTBEAT_MS = 5000
/** Time-outs in flight on one connection after which it is taken for dead. */
const DEFUNCT_TIMEOUTS = 8
const SCHEMA_AGREEMENT_SECONDS = 10
const PAGE_SIZE = 1000

/** Cheap: begins to connect, and returns at once. */
export function openCassandraDriver(options: DriverOptions): CassandraDriver {
  return new BackgroundDriver(options)
}

const { consistencies } = types
const LEVELS = {
  ALL: consistencies.all,
  ONE: consistencies.one,
  LOCAL_ONE: consistencies.localOne,
  LOCAL_QUORUM: consistencies.localQuorum,
  QUORUM: consistencies.quorum,
  EACH_QUORUM: consistencies.eachQuorum,
  SERIAL: consistencies.serial,
  LOCAL_SERIAL: consistencies.localSerial,
} as const

class BackgroundDriver implements CassandraDriver {
  readonly #options: DriverOptions
  readonly #ending = new AbortController()
  /** Until it is connected. */
  #connecting: Promise<void>
  #client: Client | null = null
  #lastFailure: CassandraFailure | null = null
  #attempted: PromiseWithResolvers<void> = Promise.withResolvers()
  #refresh: NodeJS.Timeout | undefined
  readonly #remote = new Set<string>()
  remoteContacts = 0

  constructor(options: DriverOptions) {
    this.#options = options
    this.#connecting = this.#connect()
  }

  get isConnected(): boolean {
    return this.#client !== null
  }

  async whenConnected(timeoutMs: number): Promise<void> {
    const expired = AbortSignal.timeout(timeoutMs)
    while (this.#client === null) {
      if (this.#ending.signal.aborted) throw closed()
      if (expired.aborted) throw this.#notConnected()
      await Promise.race([this.#connecting, this.#attempted.promise, aborted(expired)])
    }
  }

  async execute(statement: string, values: readonly Bound[], options: StatementOptions): Promise<StatementResult> {
    const { rows, pageState, info } = await this.#run(options, (client, common) =>
      client.execute(statement, values.map(bind), common),
    )
    return {
      // Answers to writes have no rows.
      rows: (rows ?? []).map(plainRow),
      pageState: pageState ?? null,
      isSchemaInAgreement: (info as { isSchemaInAgreement?: boolean }).isSchemaInAgreement !== false,
    }
  }

  async executeAll(
    statements: readonly { readonly statement: string; readonly values: readonly Bound[] }[],
    options: StatementOptions,
  ): Promise<void> {
    const queries = statements.map(({ statement, values }) => ({ query: statement, params: values.map(bind) }))
    await this.#run(options, (client, common) => client.batch(queries, { ...common, logged: false }))
  }

  async schemaVersions(): Promise<ReadonlyMap<string, readonly string[]>> {
    // Both answers from one node: seen from two, a change on its way looks like disagreement.
    const [host] = this.#client?.getState().getConnectedHosts() ?? []
    const ask = (statement: string) =>
      this.#run({ kind: 'read', consistency: 'ONE', isPrepared: false }, (client, common) =>
        client.execute(statement, [], host === undefined ? common : { ...common, host }),
      )
    const [local, peers] = [
      await ask("SELECT rpc_address, schema_version FROM system.local WHERE key = 'local'"),
      await ask('SELECT rpc_address, schema_version FROM system.peers'),
    ]
    const versions = new Map<string, string[]>()
    for (const row of [...local.rows, ...peers.rows]) {
      const version = String(row['schema_version'])
      versions.set(version, [...(versions.get(version) ?? []), String(row['rpc_address'])])
    }
    return versions
  }

  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return
    this.#ending.abort()
    clearInterval(this.#refresh)
    // An attempt that still goes on ends its own client.
    if (this.#client !== null) await end(this.#client)
    this.#client = null
  }

  /** The statement with its deadline, which also counts what the driver does before it sends. */
  async #run<T>(
    { kind, consistency, serial, timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS, ...rest }: StatementOptions,
    send: (client: Client, common: QueryOptions) => Promise<T>,
  ): Promise<T> {
    const client = this.#client
    if (client === null) throw this.#notConnected()
    const common: QueryOptions = {
      prepare: rest.isPrepared ?? true,
      consistency: LEVELS[consistency],
      ...(serial !== undefined && { serialConsistency: LEVELS[serial] }),
      ...(rest.pageState !== undefined && { pageState: rest.pageState }),
      fetchSize: rest.pageSize ?? PAGE_SIZE,
      readTimeout: timeoutMs,
      // Reads may be asked again, of another node. A write whose outcome is open is the caller's: the protocol says what may be repeated.
      isIdempotent: kind === 'read',
      retry: kind === 'read' ? readRetries : noRetries,
    }
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => reject(new CassandraFailure('timeout', `no answer in ${timeoutMs} ms`, kind === 'read')),
      timeoutMs,
    )
    try {
      return await Promise.race([send(client, common), late])
    } catch (error) {
      throw explainDriverFailure(error, kind)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Until it is connected, or ends: each attempt with a client of its own, because a failed one keeps what it learned. */
  async #connect(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      let client: Client | null = null
      try {
        client = this.#newClient()
        await client.connect()
        // By a contact point of another data center, for example.
        if (this.#isLost(client)) throw noNode(this.#options)
        if (signal.aborted) {
          await end(client)
          return
        }
        this.#client = client
        this.#watch(client)
        this.#options.observer?.connected?.()
        return
      } catch (error) {
        this.#lastFailure = explainConnectFailure(error, this.#options)
        if (client !== null) await end(client)
        if (signal.aborted) return
        this.#options.observer?.connectFailed?.(this.#lastFailure)
        this.#attempted.resolve()
        this.#attempted = Promise.withResolvers()
      }
      // The end of the driver cuts the wait short.
      await delay(RECONNECT_MS, undefined, { signal }).catch(() => {})
    }
  }

  #newClient(): Client {
    const { contactPoints, port, localDataCenter, tls, credentials, connectTimeoutMs } = this.#options
    return new Client({
      contactPoints: [...contactPoints],
      ...(credentials !== undefined && { credentials: { ...credentials } }),
      ...(tls !== undefined && {
        // Without the first of these the driver believes any certificate.
        sslOptions: { rejectUnauthorized: tls.verify, ...(tls.ca !== undefined && { ca: tls.ca }) },
      }),
      protocolOptions: { port, maxSchemaAgreementWaitSeconds: SCHEMA_AGREEMENT_SECONDS },
      pooling: { heartBeatInterval: HEARTBEAT_MS },
      socketOptions: {
        connectTimeout: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        defunctReadTimeoutThreshold: DEFUNCT_TIMEOUTS,
      },
      policies: {
        // The name goes to the policy only: with the client's own option a wrong name leaves a connection open for good.
        loadBalancing: new policies.loadBalancing.DefaultLoadBalancingPolicy({ localDc: localDataCenter }),
        reconnection: new policies.reconnection.ConstantReconnectionPolicy(RECONNECT_MS),
        addressResolution: new MappedAddresses(this.#options.addresses ?? new Map()),
        // The cluster's clock counts, not this node's; a write whose timestamp matters has it in its text.
        timestampGeneration: null as unknown as policies.timestampGeneration.TimestampGenerator,
      },
      monitorReporting: { enabled: false },
    })
  }

  #watch(client: Client): void {
    const { observer, localDataCenter, refreshMs = 0 } = this.#options
    client.on('hostUp', ({ address, datacenter }: Host) => observer?.nodeUp?.(address, datacenter))
    client.on('hostDown', ({ address, datacenter }: Host) => {
      observer?.nodeDown?.(address, datacenter)
      if (this.#isLost(client)) this.#reconnect(client)
    })
    const countRemote = (): void => {
      const remote = client
        .getState()
        .getConnectedHosts()
        .filter((host) => host.datacenter !== localDataCenter)
      for (const { address, datacenter } of remote) {
        if (this.#remote.has(address)) continue
        this.remoteContacts++
        observer?.remoteContact?.(address, datacenter)
      }
      this.#remote.clear()
      for (const { address } of remote) this.#remote.add(address)
    }
    countRemote()
    hostsOf(client)
    const control = controlOf(client)
    control.on('newConnection', (error: unknown) => {
      if (error != null) return
      countRemote()
      // The driver found its way back by the contact points: it then has each node twice, and only one of the two is ever closed.
      if (hostsOf(client).length > client.hosts.length) this.#reconnect(client)
    })
    if (refreshMs === 0) return
    this.#refresh = setInterval(() => {
      // A refresh that fails is one that the control connection's own reconnection makes up for.
      control._refreshHosts(false, false).catch(() => {})
    }, refreshMs)
    this.#refresh.unref()
  }

  /** Whether no node of this data center is left. */
  #isLost(client: Client): boolean {
    const { localDataCenter } = this.#options
    return client.hosts.values().every((host) => host.datacenter !== localDataCenter || !host.isUp())
  }

  /** With a new client: one that lost all its nodes only knows their old addresses, and leaves connections behind when it recovers. */
  #reconnect(client: Client): void {
    if (this.#client !== client) return
    this.#client = null
    this.#lastFailure = noNode(this.#options)
    clearInterval(this.#refresh)
    void end(client)
    this.#connecting = this.#connect()
  }

  #notConnected(): CassandraFailure {
    if (this.#ending.signal.aborted) return closed()
    const last = this.#lastFailure
    return new CassandraFailure(last?.reason ?? 'unreachable', last?.message ?? 'not connected yet', true, {
      ...(last !== null && { cause: last }),
    })
  }
}

const readRetries = new policies.retry.RetryPolicy()
const noRetries = new policies.retry.FallthroughRetryPolicy()

/** The package's class, which its types call an interface. */
const AddressTranslator = (policies.addressResolution as unknown as { AddressTranslator: new () => object })
  .AddressTranslator

class MappedAddresses extends AddressTranslator {
  readonly #addresses: ReadonlyMap<string, string>

  constructor(addresses: ReadonlyMap<string, string>) {
    super()
    this.#addresses = addresses
  }

  translate(address: string, port: number, callback: (endPoint: string) => void): void {
    const mapped = this.#addresses.get(address) ?? address
    callback(/^[^:]+:\d+$/.test(mapped) ? mapped : `${mapped}:${port}`)
  }
}

/** The connection by which the driver hears of the cluster: not public, but the only way to what is done with it here. */
interface ControlConnection {
  readonly connection: { closeAsync(): Promise<void> } | null
  _refreshHosts(isInitializing: boolean, isReconnecting: boolean): Promise<void>
  on(event: 'newConnection', listener: (error: unknown) => void): void
}

function controlOf(client: Client): ControlConnection {
  return (client as unknown as { controlConnection: ControlConnection }).controlConnection
}

const known = new WeakMap<Client, Set<Host>>()

/** Every node that the client ever had and that was not taken out of the cluster. */
function hostsOf(client: Client): readonly Host[] {
  let hosts = known.get(client)
  if (hosts === undefined) {
    const made = new Set<Host>()
    hosts = made
    known.set(client, made)
    client.on('hostRemove', (host: Host) => made.delete(host))
  }
  for (const host of client.hosts.values()) hosts.add(host)
  return [...hosts]
}

/** Ends the client with all that would keep the process alive. Never rejects. */
async function end(client: Client): Promise<void> {
  const control = controlOf(client)
  const closeAll = async (): Promise<void> => {
    const hosts = hostsOf(client) as readonly (Host & { shutdown(waits: boolean): Promise<void> })[]
    await Promise.allSettled([control.connection?.closeAsync(), ...hosts.map((host) => host.shutdown(false))])
  }
  // A reconnection that was under way makes one more connection after the end, which nobody else closes.
  control.on('newConnection', () => void closeAll())
  await Promise.allSettled([client.shutdown()])
  await closeAll()
}

function noNode({ localDataCenter }: DriverOptions): CassandraFailure {
  return new CassandraFailure('unreachable', `no node of data center ${localDataCenter} can be reached`, true)
}

function bind(value: Bound): unknown {
  return value === LEFT_OUT ? types.unset : value
}

function plainRow(row: types.Row): Readonly<Record<string, Value>> {
  const plain: Record<string, Value> = {}
  for (const name of row.keys()) plain[name] = plainValue(row[name])
  return plain
}

/** UUIDs and addresses, of the system's tables. */
interface Textual {
  toString(): string
}

function plainValue(value: unknown): Value {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  if (!types.Long.isLong(value))
    return Object.getPrototypeOf(value) === Object.prototype ? JSON.stringify(value) : (value as Textual).toString()
  const number = value.toNumber()
  if (!Number.isSafeInteger(number))
    throw new CassandraFailure('invalid', `expected a number below 2^53, got ${value.toString()}`, false)
  return number
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function closed(): CassandraFailure {
  return new CassandraFailure('unreachable', 'the connection to Cassandra is closed', true)
}
