/**
 * One schedule: a cluster and three gateways, drawn from a seed; some seconds of work and trouble; then peace, in which all nodes
 * have to come to one state; then the check. Everything follows from the seed.
 */
import { CLUSTER, EPOCHS, LOG_STATE } from '#store/cassandra/tables.ts'
import { parseKeyring } from '#store/keyring.ts'
import { KEYRING_TEXT } from '../contract/store-fixture.ts'
import { beginEpochs, compact, endAll, unleash } from './disasters.ts'
import type { Flaw } from './flaws.ts'
import { Gateway } from './gateway.ts'
import { History } from './history.ts'
import { NO_FAULTS } from './network.ts'
import { Random } from './random.ts'
import { SimulatedCassandra } from './simulated-cassandra.ts'
import { bucketOf } from './store-under-test.ts'
import { SEEDED_HASH, Truth } from './truth.ts'
import { VirtualTime } from './virtual-time.ts'
import { drawEpochMs, drawProfile, type Profile, type World } from './world.ts'
import { randomKey } from './workload.ts'

export interface ScheduleResult {
  readonly seed: number
  readonly violations: readonly string[]
  readonly profile: Profile
  readonly trace: readonly string[] | null
  readonly counts: {
    readonly events: number
    readonly revisions: number
    /** Looks after the peace began until all had one state. */
    readonly rounds: number
  } & History['counts']
}

/** Far more than the longest schedule: one that runs longer never ends. */
const MOST_EVENTS = 400_000
/** All that was late, and every hint, has arrived. */
const PEACE_MS = 20_000
const ROUND_MS = 2_000
/** So often nodes look; the serial read of the projecting ones comes each 30 s. */
const ROUNDS = 45
const ROUNDS_BETWEEN_SETTLES = 15
const ROUNDS_BETWEEN_EPOCHS = 5
/** Every node has looked for the epoch, and the one that has its state has written it, if there still is one. */
const ROUNDS_UNTIL_LOST = 20

export async function runSchedule(seed: number, flaw: Flaw | null = null, isTraced = false): Promise<ScheduleResult> {
  const time = new VirtualTime()
  const random = new Random(seed)
  const profile = { ...drawProfile(random), epochMs: drawEpochMs(seed) }
  const cluster = new SimulatedCassandra({ time, random, ...profile })
  const history = new History(isTraced)
  const violation = (text: string) => history.violation(text)
  const truth = new Truth(cluster, profile.base, bucketOf, (txid) => history.operationsOf(txid), violation)
  const keyring = parseKeyring(KEYRING_TEXT, (size) => random.bytes(size))
  const world: World = { time, random, cluster, keyring, history, truth, profile, flaw, isBusy: true }
  if (profile.base > 0) seedLog(world)
  let rounds = 0
  try {
    rounds = await time.run(() => play(world), MOST_EVENTS)
  } catch (error) {
    violation(`error: ${(error as Error).stack}`)
  }
  history.check(truth)
  const { violations, trace, counts } = history
  const revisions = [...truth.timelines.values()].reduce((sum, { entries }) => sum + entries.size, 0)
  return { seed, violations, profile, trace, counts: { ...counts, events: time.events, revisions, rounds } }
}

/** A cluster whose epoch began at a later revision than 0, without any entity. */
function seedLog({ cluster, profile: { base, began } }: World): void {
  const hash = SEEDED_HASH
  const epoch = { cluster: CLUSTER, epoch: 1, serial_domain: 'SERIAL', writing_data_center: '' }
  const from = { base_revision: base, base_hash: hash, base_digests: '{}', made_at_ms: 0, made_by: 'seed' }
  cluster.seed(EPOCHS, { ...epoch, ...from }, 1)
  for (const name of ['projected base', ...began.map((dataCenter) => `projected ${dataCenter}`)])
    cluster.seed(LOG_STATE, { epoch: 1, name, revision: base, hash }, base)
}

async function play(world: World): Promise<number> {
  const { time, profile, cluster, history } = world
  const gateways = profile.nodes.map((dataCenter, index) => new Gateway(world, `g${index + 1}`, dataCenter))
  for (const gateway of gateways) await gateway.start()
  cluster.network.faults = profile.faults
  void unleash(world, gateways)
  void compact(world)
  void beginEpochs(world, gateways)
  await time.delay(profile.busyMs)
  world.isBusy = false
  history.note(time.nowMs, () => '--- peace')
  cluster.network.faults = NO_FAULTS
  endAll(world, gateways)
  for (const gateway of gateways) if (!gateway.client) await gateway.start()
  await time.delay(PEACE_MS)
  const rounds = await converge(world, gateways)
  if (isLost(world, gateways)) return rounds
  for (const gateway of gateways) await gateway.reportRows()
  await checkFresh(world)
  return rounds
}

/**
 * Nobody has the state any more that the last epoch began with: the process that began it died before it had written that. Another
 * begins the next; only a whole copy can, and a node that has none says so. While the first lives, or another that follows the epoch,
 * no operator may be needed again.
 */
async function beginAgain({ truth }: World, gateways: readonly Gateway[]): Promise<void> {
  const hasState = ({ client, store }: Gateway) =>
    client?.name === truth.maker || store?.followedEpoch === truth.current.epoch
  if (truth.isBaseWritten || gateways.some(hasState)) return
  const able = gateways.find(({ store }) => store?.isLoaded && !store.filling)
  await able?.beginEpoch()
}

/**
 * The state that the last epoch began with was on the disks of gateways only, and all of them are gone: as docs/reliability.md says,
 * nothing is left to converge to. One gateway that has a whole state is enough, so this excuses none of them; a part of it is not.
 */
function isLost({ truth }: World, gateways: readonly Gateway[]): boolean {
  return !truth.isBaseWritten && gateways.every(({ store }) => store?.isLoaded !== true || store.filling !== null)
}

/** As the keeper does it: everyone looks, one node per data center projects and reads the end serially, and who has a hole or less than another as well. */
async function converge(world: World, gateways: readonly Gateway[]): Promise<number> {
  const { time, truth, history } = world
  const dataCenters = new Set(gateways.map(({ dataCenter }) => dataCenter))
  const isDone = async () => {
    for (const { store } of gateways)
      if (!store?.isLoaded || store.filling || (await store.head()).revision !== truth.head) return false
    return [...dataCenters].every((dataCenter) => (truth.watermark(dataCenter) ?? 0) === truth.head)
  }
  for (let round = 0; round < ROUNDS; round++) {
    if (round >= ROUNDS_UNTIL_LOST && round % ROUNDS_BETWEEN_EPOCHS === 0)
      await beginAgain(world, gateways).catch((error: unknown) => history.note(time.nowMs, () => String(error)))
    for (const gateway of gateways) {
      try {
        const isProjecting = projectorOf(gateways, gateway.dataCenter) === gateway
        await gateway.poll()
        const isBehind = gateway.store?.hasHole || (await gateway.revision()) < (await newest(gateways))
        if (isBehind || (isProjecting && round % ROUNDS_BETWEEN_SETTLES === 0)) await gateway.settle()
        if (round % ROUNDS_BETWEEN_EPOCHS === 0) await gateway.lookForEpoch()
        if (isProjecting || gateway.store?.owesState) await gateway.project()
        await whole(gateway)
      } catch (error) {
        gateway.failed(error)
      }
    }
    if (await isDone()) return round + 1
    await time.delay(ROUND_MS)
  }
  if (isLost(world, gateways)) {
    history.note(time.nowMs, () => '--- lost')
    return ROUNDS
  }
  const heads = await Promise.all(gateways.map(async ({ name, store }) => `${name} ${(await store?.head())?.revision}`))
  const marks = [...dataCenters].map((dataCenter) => `${dataCenter} ${truth.watermark(dataCenter)}`)
  history.violation(
    `convergence: the log is at ${truth.head}, nodes at ${heads.join(', ')}, projections at ${marks.join(', ')}`,
  )
  return ROUNDS
}

/** As nodes tell each other by their rows: the first of those that follow the latest epoch. */
function projectorOf(gateways: readonly Gateway[], dataCenter: string): Gateway | undefined {
  const epochOf = ({ store }: Gateway) => store?.followedEpoch ?? 0
  return gateways.filter((one) => one.dataCenter === dataCenter).toSorted((a, b) => epochOf(b) - epochOf(a))[0]
}

/** As nodes tell each other by their rows. */
async function newest(gateways: readonly Gateway[]): Promise<number> {
  return Math.max(...(await Promise.all(gateways.map((gateway) => gateway.revision()))))
}

/** Fills the copy, with look-ups between the steps: of what is there, what is not there yet, and what is nowhere. */
async function whole(gateway: Gateway): Promise<void> {
  do await gateway.lookUp(randomKey(gateway.world.random))
  while (await gateway.fill())
}

/** In each data center: the projection is that of the log, and a node that begins with it holds the same as the others. */
async function checkFresh(world: World): Promise<void> {
  const { truth } = world
  for (const dataCenter of new Set(world.profile.nodes)) {
    const watermark = truth.watermark(dataCenter)
    if (watermark !== null) truth.checkAgain(dataCenter, watermark)
    const fresh = new Gateway(world, `fresh-${dataCenter}`, dataCenter)
    await fresh.start()
    try {
      await fresh.poll()
      await whole(fresh)
    } catch (error) {
      world.history.violation(`convergence: a new node in ${dataCenter} can not load: ${(error as Error).message}`)
    }
    await fresh.reportRows()
  }
}
