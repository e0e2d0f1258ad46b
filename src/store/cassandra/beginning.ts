/**
 * The epoch that this node was asked to begin, until it is known which epoch has that number. An insert without an answer may be done
 * at any time after it, and what the epoch would begin with is perhaps on this node alone: so the node stays where it stands, and
 * tries again, until the number is taken by its epoch or by another's.
 */
import type { Head } from '../contract.ts'
import type { ClusterLog, Epoch } from './cluster-log.ts'
import { CassandraFailure } from './port.ts'

type Log = Pick<ClusterLog, 'epoch' | 'beginEpoch'>

export class Beginning {
  readonly #log: Log
  readonly #nodeId: string
  /** What was sent and had no answer. */
  #open: { readonly epoch: Epoch; readonly atMs: number } | null = null

  constructor(log: Log, nodeId: string) {
    this.#log = log
    this.#nodeId = nodeId
  }

  /**
   * Begins an epoch at this head. `known` is the greatest number that this node has heard of: a database that was put back has
   * forgotten epochs, and their keys may still be in use. Rejects with a `CassandraFailure`: nothing was done, or it is open.
   */
  async begin(known: number, base: Head, atMs: number): ReturnType<Log['beginEpoch']> {
    const latest = await this.#log.epoch('SERIAL')
    const number = Math.max(latest?.epoch ?? 0, known) + 1
    const epoch: Epoch = { epoch: number, serial: 'SERIAL', writingDataCenter: '', base, madeBy: this.#nodeId }
    return this.#insert(epoch, atMs)
  }

  /**
   * The epoch that counts, by what is known and what is open. Rejects while nobody can tell, with a `CassandraFailure` that is settled:
   * of what else was wanted nothing is tried.
   */
  async settle(known: Epoch | undefined): Promise<Epoch | undefined> {
    if (!this.#open) return known
    const { epoch, atMs } = this.#open
    if (known && known.epoch >= epoch.epoch) {
      this.#open = null
      return known
    }
    return (await this.#insert(epoch, atMs)).epoch
  }

  async #insert(epoch: Epoch, atMs: number): ReturnType<Log['beginEpoch']> {
    try {
      // Appends look for epochs nearby, so the beginning has to be told everywhere before it is answered.
      const result = await this.#log.beginEpoch(epoch, atMs, 'EACH_QUORUM')
      this.#open = null
      return result
    } catch (error) {
      if (!(error instanceof CassandraFailure) || (error.isSettled && !this.#open)) throw error
      this.#open = { epoch, atMs }
      const message = `whether epoch ${epoch.epoch} began is open, and tried until it is known: ${error.message}`
      throw new CassandraFailure(error.reason, message, true, { cause: error })
    }
  }
}
