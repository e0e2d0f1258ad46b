/** A gateway of the simulation: follows the log, writes, projects and looks up, all at once, and dies in between. */
import { GatewayError } from '#core/errors.ts'
import { CassandraFailure } from '#store/cassandra/port.ts'
import type { CassandraStore } from '#store/cassandra/cassandra-store.ts'
import type { Operation } from '#store/contract.ts'
import { createWriter, type Writer } from '#store/writer.ts'
import { definitions, kinds, W1 } from '../contract/store-fixture.ts'
import { Disk } from './disk.ts'
import type { Client } from './requests.ts'
import { clockOf, delayOf, openSubject } from './store-under-test.ts'
import { claimName, COUNTER, counted, randomKey, randomOperations } from './workload.ts'
import type { World } from './world.ts'

/** What a gateway answers for while the cluster can't be asked; anything else that is thrown is a mistake. */
const EXPECTED = new Set(['STORE_UNAVAILABLE'])

export class Gateway {
  readonly name: string
  readonly dataCenter: string
  readonly world: World
  readonly #skewMs: number
  readonly #disk = new Disk()
  #copies = 0
  #lives = 0
  #names = 0
  client: Client | null = null
  store: CassandraStore | null = null

  constructor(world: World, name: string, dataCenter: string) {
    this.world = world
    this.name = name
    this.dataCenter = dataCenter
    this.#skewMs = world.random.between(-1, 1) * world.profile.skewMs
  }

  async start(): Promise<void> {
    const { time, random, cluster, keyring, profile, flaw } = this.world
    const client: Client = {
      name: `${this.name}.${++this.#lives}`,
      dataCenter: this.dataCenter,
      skewMs: this.#skewMs,
      isAlive: true,
      isCutOff: false,
    }
    this.client = client
    const { settleMs } = profile
    const { later } = profile
    const disk = this.#disk
    const store = await openSubject({ time, random, cluster, client, disk, keyring, settleMs, later, flaw })
    if (!client.isAlive) return
    this.store = store
    this.#note(() => 'starts')
    await this.report()
    const wait = delayOf({ time, client })
    const writer = createWriter({
      store,
      definitions,
      keyring,
      nowMs: clockOf({ time, client }),
      uuid: () => this.#uuid(),
      random: () => random.next(),
      delay: wait,
      deadlineMs: random.pick([1000, 10_000]),
    })
    const every = (ms: number, step: () => Promise<void>) => void this.#repeat(client, wait, ms, step)
    every(profile.pollMs, () => this.poll())
    every(profile.projectMs, () => this.project())
    every(profile.settleEveryMs, () => this.settle())
    every(profile.fillMs, async () => void (await this.fill()))
    every(profile.writeMs, () => this.#writeSome(writer))
    every(profile.writeMs * 2, () => this.#appendOne(store, wait))
    every(profile.lookUpMs, () => this.#lookUp())
  }

  /** Nothing in it goes on; what is on its disk stays, unless that is lost as well. */
  crash(losesDisk: boolean): void {
    this.#note(() => (losesDisk ? 'dies with its disk' : 'dies'))
    if (this.client) this.client.isAlive = false
    this.client = null
    this.store = null
    if (this.world.flaw?.losesLastWrite) this.#disk.writes.pop()
    if (!losesDisk) return
    this.#disk.clear()
    this.#copies++
  }

  async poll(): Promise<void> {
    await this.store?.poll()
    await this.report()
  }

  async settle(): Promise<void> {
    await this.store?.settle()
    await this.report()
  }

  async lookForEpoch(): Promise<void> {
    await this.store?.lookForEpoch()
    await this.report()
  }

  /** As an operator does who takes this node's state for the one to go on with. */
  async beginEpoch(): Promise<void> {
    const { store } = this
    if (!store?.isLoaded) return
    this.#note(() => 'is asked to begin an epoch')
    const revision = await store.beginEpoch()
    this.#note(() => `began an epoch at ${revision}`)
    this.world.history.epochBegan(store.epoch, this.world.time.nowMs)
    await this.report()
  }

  async project(): Promise<void> {
    // The node that does it for all may be any, and more than one.
    await this.store?.project(this.world.random.pick(['own', 'all']))
  }

  /** One step nearer to a whole copy; false when it is. */
  async fill(): Promise<boolean> {
    return this.store?.filling ? await this.store.fillNext() : false
  }

  async revision(): Promise<number> {
    return this.store?.isLoaded ? (await this.store.head()).revision : -1
  }

  async report(): Promise<void> {
    const { store } = this
    if (!store?.isLoaded) return
    const head = await store.head()
    this.#note(() => `reports ${head.revision}`)
    this.world.history.reported(this.name, `${this.name}/${this.#copies}`, head)
  }

  /** Everything that the node holds, for the comparison with what it should. */
  async reportRows(): Promise<void> {
    const { head, rows } = (await this.store?.load(kinds)) ?? {}
    if (!head || !rows) return
    this.world.history.held(this.name, head, await Array.fromAsync(rows))
  }

  async #repeat(
    client: Client,
    wait: (ms: number) => Promise<void>,
    ms: number,
    step: () => Promise<void>,
  ): Promise<void> {
    const { random } = this.world
    for (await wait(random.next() * ms); this.world.isBusy && client.isAlive; await wait(ms * (0.5 + random.next()))) {
      try {
        await step()
      } catch (error) {
        this.failed(error)
      }
    }
  }

  failed(error: unknown): void {
    this.#note(() => `fails: ${(error as Error).message}`)
    if (error instanceof CassandraFailure) return
    if (error instanceof GatewayError && EXPECTED.has(error.code)) return
    this.world.history.violation(`error: ${this.name}: ${(error as Error).stack}`)
  }

  async #writeSome(writer: Writer): Promise<void> {
    const { random } = this.world
    const count = random.chance(0.4) ? 2 + random.integer(2) : 1
    await Promise.all(Array.from({ length: count }, () => this.#writeOne(writer)))
  }

  async #writeOne(writer: Writer): Promise<void> {
    const { random, history, time } = this.world
    const fixed = random.chance(0.3)
      ? null
      : random.chance(0.3)
        ? claimName(random, `unique-${Math.floor(time.nowMs / 1000)}`)
        : randomOperations(random)
    const { revision } = (await this.store?.head()) ?? { revision: 0 }
    const ifRevision = random.chance(0.1) ? { ifRevision: revision } : {}
    // The writer names a request at once.
    const txid = `${this.name}-${this.#names + 1}`
    const promise = writer.write(
      async (state) => {
        const operations = fixed ?? counted((await state.get('groups', COUNTER))?.document)
        history.built(txid, operations)
        return { operations }
      },
      { origin: { actor: this.name, via: 'simulation' }, ...ifRevision },
    )
    history.began(txid, this.name, fixed ?? [], time.nowMs)
    try {
      const result = await promise
      this.#note(() => `${txid}: ${JSON.stringify(result)}`)
      if (result.outcome === 'appended') history.ended(txid, 'appended', 'appended', time.nowMs, result.revision)
      else history.ended(txid, result.outcome === 'open' ? 'open' : 'not done', result.outcome, time.nowMs)
    } catch (error) {
      history.ended(txid, 'not done', (error as Error).message, time.nowMs)
      this.failed(error)
    }
    await this.report()
  }

  /** Without the writer: tries again by itself, also with a transaction whose outcome is open. */
  async #appendOne(store: CassandraStore, wait: (ms: number) => Promise<void>): Promise<void> {
    const { random, history, time } = this.world
    const operations: readonly Operation[] = randomOperations(random)
    const txid = this.#uuid()
    const transaction = { txid, operations, origin: { actor: this.name, via: 'simulation' }, atMs: 0 }
    history.began(txid, this.name, operations, time.nowMs)
    for (let tries = 0; tries < 4; tries++) {
      if (tries > 0) {
        await wait(random.next() * 200)
        history.triedAgain(txid)
      }
      try {
        const result = await store.append(transaction, (await store.head()).revision)
        this.#note(() => `${txid}: ${result.outcome}`)
        if (result.outcome === 'appended')
          return history.ended(txid, 'appended', 'appended', time.nowMs, result.entry.revision)
        const isOpen = result.outcome === 'open'
        history.ended(txid, isOpen ? 'open' : 'not done', result.outcome, time.nowMs)
        if (result.outcome === 'refused' || (isOpen && random.chance(0.4))) return
      } catch (error) {
        history.ended(txid, 'not done', (error as Error).message, time.nowMs)
        return this.failed(error)
      }
    }
  }

  async #lookUp(): Promise<void> {
    await this.lookUp(randomKey(this.world.random))
  }

  async lookUp([kind, field, value]: ReturnType<typeof randomKey>): Promise<void> {
    const { store, name } = this
    if (!store?.isLoaded) return
    const from = await store.head()
    const row = await store.lookup(kind, field, value, W1)
    const to = await store.head()
    this.world.history.lookedUp({ node: name, from, to, key: [kind, field, value], row })
  }

  #uuid(): string {
    return `${this.name}-${++this.#names}`
  }

  #note(text: () => string): void {
    this.world.history.note(this.world.time.nowMs, () => `${this.client?.name ?? this.name} ${text()}`)
  }
}
