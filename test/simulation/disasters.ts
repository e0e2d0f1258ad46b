/** What happens to a whole cluster now and then: nodes die, replicas go away, data centers lose each other. */
import type { Gateway } from './gateway.ts'
import type { World } from './world.ts'

const LONGEST_MS = 3_000
const NEVER_MS = 1e9

export async function unleash(world: World, gateways: readonly Gateway[]): Promise<void> {
  const { time, random, profile } = world
  while (world.isBusy) {
    await time.delay(profile.disasterMs * 2 * random.next())
    if (world.isBusy) strike(world, gateways)
  }
}

/** Replicas forget what is deleted long before all of them have heard of it: as after a gc_grace without repair. */
export async function compact(world: World): Promise<void> {
  const { time, random, cluster, profile } = world
  while (world.isBusy) {
    await time.delay(profile.compactMs * 2 * random.next())
    for (const replica of cluster.replication.replicas) if (random.chance(0.7)) replica.purge(time.nowMs)
  }
}

/** Operators who name one node after the other, also one that lags or is cut off: what the others have beyond it is given up. */
export async function beginEpochs(world: World, gateways: readonly Gateway[]): Promise<void> {
  const { time, random, profile } = world
  if (profile.epochMs >= NEVER_MS) return
  while (world.isBusy) {
    await time.delay(profile.epochMs * 2 * random.next())
    if (!world.isBusy) return
    const gateway = random.pick(gateways)
    await gateway.beginEpoch().catch((error: unknown) => gateway.failed(error))
  }
}

export function endAll({ cluster: { network, replication } }: World, gateways: readonly Gateway[]): void {
  network.healAll()
  for (const replica of replication.replicas) replica.isUp = true
  for (const { client } of gateways) if (client) client.isCutOff = false
}

function strike(world: World, gateways: readonly Gateway[]): void {
  const { time, random, cluster, history } = world
  const { network, replication } = cluster
  const said = (text: string) => history.note(time.nowMs, () => `--- ${text}`)
  const later = (undo: () => void) => time.after(random.next() * LONGEST_MS, () => world.isBusy && undo())
  const gateway = random.pick(gateways)
  switch (random.integer(6)) {
    case 0:
    case 1: {
      if (!gateway.client) return
      gateway.crash(random.chance(0.4))
      later(() => gateway.client ?? void gateway.start())
      return
    }
    case 2: {
      const { client } = gateway
      if (!client) return
      said(`${client.name} is cut off`)
      client.isCutOff = true
      later(() => (client.isCutOff = false))
      return
    }
    case 3:
    case 4: {
      const replica = random.pick(replication.replicas)
      said(`${replica.name} goes away`)
      replica.isUp = false
      later(() => (replica.isUp = true))
      return
    }
    case 5: {
      const [one = '', other = ''] = random.shuffled(replication.dataCenters)
      said(`${one} and ${other} lose each other`)
      network.cut(one, other)
      later(() => network.heal(one, other))
      return
    }
  }
}
