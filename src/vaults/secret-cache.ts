/**
 * What vaults answered, so that references are followed without waiting: read once before the configuration that has them is served,
 * then again and again, because secrets are rotated where they are kept. A value that can't be read any more stays as it was
 * (for `resurrect_ttl`, if the vault has one): a vault that is down must not take the gateway's secrets away.
 */
import type { Followed } from '#model/vault-reference.ts'
import type { Vault, VaultConfig } from './vault.ts'

export interface SecretAddress {
  /** The kind of vault: `file`, `hcv`. */
  readonly kind: string
  readonly config: VaultConfig
  readonly resource: string
  readonly version: number | null
}

export interface SecretCacheOptions {
  readonly vaults: ReadonlyMap<string, Vault>
  /** Monotonic, ms. */
  readonly nowMs: () => number
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void }
  /** Told the keys of resources whose text is another one now. */
  readonly onChanged: (keys: ReadonlySet<string>) => void
}

interface Entry {
  readonly address: SecretAddress
  fetched: Followed
  /** When it was last read with success. */
  readAtMs: number
  /** When it is read again. */
  dueAtMs: number
  isFailing: boolean
}

/** How often it is looked for what is due, which is also the time between two reads of a secret whose vault has no `ttl`. */
const LOOK_MS = 500
const READ_DEADLINE_MS = 2_000
/** More than a configuration has; beyond them the oldest are read again when they are asked for. */
const ENTRIES_MAX = 10_000
const READS_AT_ONCE = 16

export class SecretCache {
  readonly #options: SecretCacheOptions
  readonly #entries = new Map<string, Entry>()
  #timer: NodeJS.Timeout | null = null
  #isLooking = false
  #isClosed = false

  constructor(options: SecretCacheOptions) {
    this.#options = options
  }

  /** Reads that failed at their last try. */
  get failing(): number {
    let count = 0
    for (const { isFailing } of this.#entries.values()) if (isFailing) count++
    return count
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  /** What is known of a resource; null when it was never read. */
  get(key: string): Followed | null {
    return this.#entries.get(key)?.fetched ?? null
  }

  /** Reads what is not known yet; resolves when each has an answer, be it a reason, within the deadline of a read. */
  async read(wanted: ReadonlyMap<string, SecretAddress>): Promise<void> {
    const unknown = [...wanted].filter(([key]) => !this.#entries.has(key))
    await inParts(unknown, async ([key, address]) => {
      const fetched = await this.#fetch(address)
      if (this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value!)
      const nowMs = this.#options.nowMs()
      const isFailing = 'reason' in fetched
      this.#entries.set(key, { address, fetched, readAtMs: nowMs, dueAtMs: this.#dueAt(address, isFailing), isFailing })
    })
    if (this.#entries.size > 0 && this.#timer === null && !this.#isClosed)
      this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref()
  }

  /** Forgets what no configuration refers to any more. */
  keepOnly(keys: { has(key: string): boolean }): void {
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#entries.delete(key)
  }

  close(): void {
    this.#isClosed = true
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    // One round at a time: a slow vault is asked more seldom, not by more reads at once.
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const nowMs = this.#options.nowMs()
      const due = [...this.#entries].filter(([, entry]) => entry.dueAtMs <= nowMs)
      const changed = new Set<string>()
      await inParts(due, async ([key, entry]) => {
        if (this.#take(entry, await this.#fetch(entry.address)) && this.#entries.get(key) === entry) changed.add(key)
      })
      if (changed.size > 0 && !this.#isClosed) this.#options.onChanged(changed)
    } finally {
      this.#isLooking = false
    }
  }

  /** True when the text is another one now. */
  #take(entry: Entry, fetched: Followed): boolean {
    const { log, nowMs } = this.#options
    const isFailing = 'reason' in fetched
    const { kind, resource } = entry.address
    if (isFailing && !entry.isFailing)
      log.warn({ vault: kind, resource, reason: fetched.reason }, 'a secret can not be read again, the last one stays')
    else if (!isFailing && entry.isFailing) log.info({ vault: kind, resource }, 'a secret can be read again')
    entry.isFailing = isFailing
    entry.dueAtMs = this.#dueAt(entry.address, isFailing)
    if (isFailing && 'value' in entry.fetched) {
      const keepMs = secondsOf(entry.address.config['resurrect_ttl']) ?? Infinity
      if (nowMs() - entry.readAtMs <= keepMs) return false
    }
    const before = entry.fetched
    entry.fetched = fetched
    if (!isFailing) entry.readAtMs = nowMs()
    return ('value' in before ? before.value : null) !== ('value' in fetched ? fetched.value : null)
  }

  async #fetch({ kind, config, resource, version }: SecretAddress): Promise<Followed> {
    const vault = this.#options.vaults.get(kind)
    if (vault === undefined) return { reason: `there is no vault of the kind ${kind}` }
    try {
      return await vault.fetch(config, resource, version, AbortSignal.timeout(READ_DEADLINE_MS))
    } catch (error) {
      return { reason: `the vault can not be read: ${(error as Error).name}` }
    }
  }

  #dueAt({ config }: SecretAddress, isFailing: boolean): number {
    return this.#options.nowMs() + (secondsOf(config[isFailing ? 'neg_ttl' : 'ttl']) ?? 0)
  }
}

/** In ms; null when it is not set. */
function secondsOf(value: unknown): number | null {
  return typeof value === 'number' ? value * 1000 : null
}

async function inParts<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += READS_AT_ONCE)
    await Promise.all(items.slice(at, at + READS_AT_ONCE).map(work))
}
