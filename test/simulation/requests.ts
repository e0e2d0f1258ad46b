/** A client's request: it goes to a coordinator of its data center, and waits for the answer no longer than its time-out. */
import { CassandraFailure } from '#store/cassandra/port.ts'
import type { Network } from './network.ts'
import type { Replica } from './replica.ts'
import type { Replication } from './replication.ts'

/** A process that speaks to the cluster. When it is dead, nothing that it waits for goes on. */
export interface Client {
  readonly name: string
  readonly dataCenter: string
  /** Of its clock. */
  skewMs: number
  isAlive: boolean
  /** Its network is gone: requests and answers are lost. */
  isCutOff: boolean
}

export interface Reply<T> {
  answer(value: T): void
  fail(failure: CassandraFailure): void
}

const LOCAL_MS = 0.3

export class Requests {
  readonly #network: Network
  readonly #replication: Replication
  readonly #timeoutMs: number

  constructor(network: Network, replication: Replication, timeoutMs: number) {
    this.#network = network
    this.#replication = replication
    this.#timeoutMs = timeoutMs
  }

  /** A read has no effect that could be open. `run` is not stopped when the client has given up or died; its answer then comes to nobody. */
  make<T>(client: Client, kind: 'read' | 'write', run: (coordinator: Replica, reply: Reply<T>) => void): Promise<T> {
    const { time, random, faults } = this.#network
    return new Promise<T>((resolve, reject) => {
      let isAnswered = false
      const settle = (how: () => void) => {
        if (isAnswered || !client.isAlive) return
        isAnswered = true
        time.wake(how)
      }
      const fail = (...[reason, message, isSettled]: ConstructorParameters<typeof CassandraFailure>) =>
        settle(() => reject(new CassandraFailure(reason, message, isSettled)))
      const hosts = this.#replication.in(client.dataCenter).filter(({ isUp }) => isUp)
      if (hosts.length === 0) {
        time.after(LOCAL_MS, () => fail('unreachable', 'no host of this data center is up', true))
        return
      }
      time.after(this.#timeoutMs, () => fail('timeout', 'no answer in time', kind === 'read'))
      if (client.isCutOff || random.chance(faults.lost)) return
      const coordinator = random.pick(hosts)
      const back = (how: () => void) => {
        if (!coordinator.isUp || client.isCutOff || random.chance(faults.lost)) return
        time.after(LOCAL_MS * (0.5 + random.next()), () => settle(how))
      }
      const reply: Reply<T> = {
        answer: (value) => back(() => resolve(value)),
        fail: (failure) => back(() => reject(failure)),
      }
      const late = random.chance(faults.requestLate) ? random.next() * 2 * this.#timeoutMs : 0
      time.after(LOCAL_MS * (0.5 + random.next()) + late, () => coordinator.isUp && run(coordinator, reply))
    })
  }
}
