/** Collects the names of windows that have changed in Redis, and notes them there together for the exchange. */
import { NOTE } from './limit-scripts.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'

export interface ChangedNamesOptions {
  readonly link: Pick<RedisLink, 'run'>
  /** The key of the set. */
  readonly key: string
  /** How long names are collected. */
  readonly everyMs: number
  readonly later: (run: () => void, ms: number) => void
}

/** Names in a command, and in the set: some 12 MB. */
const AT_ONCE = 500
const NOTED_MAX = 100_000
/** Without a node that exchanges, names are of no use after a while: those that still change are noted again. */
const LIFE_MS = 60_000

export class ChangedNames {
  readonly #options: ChangedNamesOptions
  #names = new Set<string>()
  #isClosed = false

  constructor(options: ChangedNamesOptions) {
    this.#options = options
  }

  readonly note = (name: string): void => {
    if (this.#isClosed) return
    if (this.#names.size === 0) this.#options.later(() => void this.flush(), this.#options.everyMs)
    // Above it the next change notes it.
    if (this.#names.size < NOTED_MAX) this.#names.add(name)
  }

  /** Notes what is left, and then nothing any more. */
  async close(): Promise<void> {
    const last = this.flush()
    this.#isClosed = true
    await last
  }

  async flush(): Promise<void> {
    const { link, key } = this.#options
    const names = [...this.#names]
    this.#names = new Set()
    const commands: Promise<void>[] = []
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const some = names.slice(at, at + AT_ONCE)
      commands.push(
        link.run(NOTE, [key], [LIFE_MS, NOTED_MAX, ...some]).then((answer) => {
          // They have changed all the same: with the next try they are noted.
          if (answer instanceof RedisFailure) for (const name of some) this.note(name)
        }),
      )
    }
    await Promise.all(commands)
  }
}
