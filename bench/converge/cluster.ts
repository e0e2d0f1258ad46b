/** Two data centers on one machine: Cassandra in each, gateways a and b in dc1 and c in dc2, an upstream that echoes the path. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { createToken } from '#admin/tokens.ts'
import type { CassandraDriver } from '#store/cassandra/driver.ts'
import { newKeyringText } from '#store/keyring.ts'
import { driverFor, makeKeyspace, replicasOf } from '../../test/support/cassandra-keyspace.ts'
import { startCassandra, type CassandraAddress, type CassandraCluster } from '../../test/support/cassandra.ts'
import { startGateway, type Gateway } from '../../test/support/gateway.ts'
import type { Network } from '../../test/support/network.ts'
import { runChild } from '../../test/support/process.ts'

export const KEYSPACE = 'meridian'
const GOSSIP_MS = 90_000
const BUILD_MS = 120_000
const ROOT = path.resolve(import.meta.dirname, '..', '..')

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface GatewaySeat {
  readonly name: string
  readonly dataCenter: string
  readonly gateway: Gateway
  ask(target: string, headers?: Readonly<Record<string, string>>): Promise<Answer>
  admin(method: string, target: string, body?: object): Promise<Answer>
  stop(): Promise<void>
}

export class Bed {
  readonly network: Network
  readonly cassandra: CassandraCluster
  readonly folder: string
  readonly token: string
  readonly #upstream: Server
  readonly #seats = new Set<GatewaySeat>()

  constructor(network: Network, cassandra: CassandraCluster, folder: string, token: string, upstream: Server) {
    this.network = network
    this.cassandra = cassandra
    this.folder = folder
    this.token = token
    this.#upstream = upstream
  }

  get place(): CassandraAddress {
    return this.cassandra.address
  }

  get upstreamPort(): number {
    return (this.#upstream.address() as { port: number }).port
  }

  settingsOf(dataCenter: string): Record<string, string> {
    const replicas = Object.entries(replicasOf(this.place)).map(([name, count]) => `${name}:${count}`)
    return {
      database: 'cassandra',
      cassandra_contact_points: this.place.dataCenters[dataCenter]!.join(','),
      cassandra_port: String(this.cassandra.port),
      cassandra_keyspace: KEYSPACE,
      cassandra_local_datacenter: dataCenter,
      cassandra_data_centers: replicas.join(','),
      keyring_file: path.join(this.folder, 'keyring'),
    }
  }

  /** A prefix that is given stays; `settings` come on top of those of all. */
  async startGateway(
    name: string,
    dataCenter: string,
    { prefix, settings }: { readonly prefix?: string; readonly settings?: Readonly<Record<string, string>> } = {},
  ): Promise<GatewaySeat> {
    const site = this.network.site(dataCenter)
    const gateway = await startGateway({
      database: 'cassandra',
      host: site.nearAddress,
      wrapper: site.wrapper,
      readyMs: 180_000,
      script: [path.join(this.folder, 'package', 'main.js'), 'start'],
      ...(prefix !== undefined && { prefix }),
      settings: { ...this.settingsOf(dataCenter), admin_token_file: path.join(this.folder, 'access'), ...settings },
    })
    const pool = new Pool(gateway.proxyUrl, { connections: 64 })
    const adminPool = new Pool(gateway.adminUrl, { connections: 256 })
    const headers = { 'kong-admin-token': this.token }
    const seat: GatewaySeat = {
      name,
      dataCenter,
      gateway,
      ask: (target, more) => answerOf(pool, 'GET', target, { ...more }),
      admin: (method, target, body) => answerOf(adminPool, method, target, headers, body),
      stop: async () => {
        this.#seats.delete(seat)
        await Promise.all([pool.destroy(), adminPool.destroy()])
        await gateway.stop()
      },
    }
    this.#seats.add(seat)
    return seat
  }

  async close(): Promise<void> {
    await Promise.all([...this.#seats].map((seat) => seat.stop()))
    await this.cassandra.stop()
    await this.network.close()
    this.#upstream.closeAllConnections()
    this.#upstream.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export async function openBed(
  network: Network,
  topology: string,
  heapMb: number,
  settings: Readonly<Record<string, unknown>>,
): Promise<Bed> {
  const cassandra = await startCassandra({ topology, heapMb, network, settings })
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-converge-'))
  // What operators run.
  const built = await runChild({
    name: 'build',
    command: process.execPath,
    args: [path.join(ROOT, 'src', 'install', 'build.ts'), '--out', path.join(folder, 'package')],
    timeoutMs: BUILD_MS,
  })
  if (built.code !== 0) throw new Error(`the package could not be built: ${built.output}`)
  writeFileSync(path.join(folder, 'keyring'), newKeyringText('bench', randomBytes), { mode: 0o600 })
  const { token, line } = createToken('bench', 'admin', () => randomBytes(32))
  writeFileSync(path.join(folder, 'access'), `${line}\n`, { mode: 0o600 })
  const upstream = createServer(echo)
  await new Promise<void>((resolve) => upstream.listen(0, resolve))
  const bed = new Bed(network, cassandra, folder, token, upstream)
  const driver = driverFor(bed.place, 'dc1')
  try {
    await makeWhenAllAreKnown(bed.place, driver)
    return bed
  } catch (error) {
    await bed.close()
    throw error
  } finally {
    await driver.close()
  }
}

let answers = 0

/** The path; under `/tagged/` as a response that may be stored, with the last segment as its tag and a number of its own. */
function echo({ url = '' }: IncomingMessage, response: ServerResponse): void {
  if (!url.startsWith('/tagged/')) return void response.end(url)
  const headers = { 'content-type': 'text/plain', 'cache-control': 'max-age=600', 'cache-tag': path.basename(url) }
  response.writeHead(200, headers).end(`${url} ${++answers}`)
}

/** Nodes that answer may not have heard of each other yet, and the migrations refuse more replicas than they see nodes. */
async function makeWhenAllAreKnown(place: CassandraAddress, driver: CassandraDriver): Promise<void> {
  const until = performance.now() + GOSSIP_MS
  for (;;) {
    try {
      return await makeKeyspace(place, driver, KEYSPACE)
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(2_000)
    }
  }
}

async function answerOf(
  pool: Pool,
  method: string,
  target: string,
  headers: Record<string, string>,
  body?: object,
): Promise<Answer> {
  const response = await pool.request({
    method,
    path: target,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    headersTimeout: 60_000,
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.statusCode, body: await response.body.text() }
}
