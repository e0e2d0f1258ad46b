/**
 * Names to addresses by asking name servers ourselves: the answer carries TTL, SRV weights and ports, and nothing waits for
 * getaddrinfo's four threads. An answer is cached for its TTL; after that it still serves at once, for `dns_stale_ttl`, while
 * one question refreshes it, so that name servers may be slow or dead without any request noticing.
 *
 *     resolve -> hosts file | cache | literal, else look-up (lookup.ts) -> question (query.ts) -> message (transport.ts)
 */
import { randomInt } from 'node:crypto'
import { isIP } from 'node:net'
import { LRUCache } from 'lru-cache'
import type { Resolution, ResolvedAddress, Resolver } from '#core/resolution.ts'
import { comparableName, isDnsName } from './dns-name.ts'
import { readNameServers, readOrder, type DnsSettings, type OrderItem } from './dns-settings.ts'
import { findHost, parseHosts, type HostAddresses, type Hosts } from './hosts-file.ts'
import { lookUp, type Found, type NotFound } from './lookup.ts'
import type { RecordType } from './message.ts'
import type { NameServer } from './name-server.ts'
import { NameServers, type QueryPlan } from './query.ts'
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts'
import { Cancellation } from './transport.ts'
import { WatchedFile } from './watched-file.ts'

export interface ResolverOptions {
  readonly settings: DnsSettings
  readonly resolvConfPath?: string
  readonly nowMs?: () => number
  /** The id of a question, 0..65535; must be unpredictable. */
  readonly randomId?: () => number
  readonly log?: DnsLog
}

/** State changes only: once when a name or file begins to fail, once when it works again. */
export interface DnsLog {
  warn(fields: object, message: string): void
  info(fields: object, message: string): void
}

/** Totals since the start, except `names`. */
export interface DnsStats {
  /** Answered from hosts file, literal or fresh cache entry; from a stale one; by waiting for a look-up. */
  readonly hits: number
  readonly stale: number
  readonly misses: number
  /** Look-ups that ended without an address. */
  readonly failures: number
  /** Messages sent to name servers. */
  readonly sent: number
  /** Names in the cache now. */
  readonly names: number
}

export interface DnsResolver extends Resolver {
  stats(): DnsStats
}

/** Throws for settings that can't be used, naming the key. Opens nothing until a name is asked for. */
export function createResolver(options: ResolverOptions): DnsResolver {
  return new CachingResolver(options)
}

/** A TTL of 0 would mean one question per request; with a second, a name costs at most one question per second. */
const MIN_TTL_SECONDS = 1
/** Nothing is believed for longer than a day without asking again. */
const MAX_TTL_SECONDS = 86_400
/** How long a failure of the name servers answers at once while they are asked again: else every request would wait for a time-out. */
const FAILURE_STALE_MS = 10_000
/** How long an entry of the hosts file counts before the file's content is looked at again. */
const HOSTS_TTL_MS = 5000
/** Added to the time of all attempts: what bounds one look-up, whatever it leads to. */
const LOOKUP_GRACE_MS = 1000

interface Entry {
  resolution: Resolution
  /** Until when it answers at all; a look-up is waited for after that. */
  usableUntilMs: number
  /** From when a use starts a refresh. */
  refreshAtMs: number
  /** The type of question that last gave an address; null when none did. */
  lastType: RecordType | null
  isFailing: boolean
}

type Kind = 'any' | 'addresses'

class CachingResolver implements DnsResolver {
  readonly #settings: DnsSettings
  readonly #nowMs: () => number
  readonly #log: DnsLog | null
  readonly #order: readonly OrderItem[]
  readonly #addressTypes: readonly ('A' | 'AAAA')[]
  readonly #fixedNameServers: readonly NameServer[] | null
  readonly #resolvConf: WatchedFile<ResolvConf>
  readonly #hosts: WatchedFile<Hosts>
  /** Made from the content of the hosts file that is in `#hostsSeen`. */
  readonly #hostResolutions = new Map<string, Resolution>()
  #hostsSeen: Hosts | null = null
  readonly #cache: LRUCache<string, Entry>
  readonly #running = new Map<string, Promise<Resolution>>()
  readonly #cancellation = new Cancellation()
  readonly #nameServers: NameServers
  #hits = 0
  #stale = 0
  #misses = 0
  #failures = 0

  constructor({ settings, resolvConfPath = '/etc/resolv.conf', nowMs = Date.now, randomId, log }: ResolverOptions) {
    this.#settings = settings
    this.#nowMs = nowMs
    this.#log = log ?? null
    this.#order = readOrder(settings.dns_order)
    const addressTypes = this.#order.filter((type) => type === 'A' || type === 'AAAA')
    this.#addressTypes = addressTypes.length > 0 ? addressTypes : ['A']
    this.#fixedNameServers = readNameServers(settings.dns_resolver)
    this.#resolvConf = this.#watch(resolvConfPath, parseResolvConf)
    this.#hosts = this.#watch(settings.dns_hostsfile, parseHosts)
    this.#cache = new LRUCache({ max: settings.dns_cache_size })
    this.#nameServers = new NameServers({
      plan: () => this.#plan(),
      nowMs,
      randomId: randomId ?? (() => randomInt(0x10000)),
      cancellation: this.#cancellation,
    })
  }

  resolve(name: string): Resolution | Promise<Resolution> {
    const key = name.toLowerCase()
    const known = this.#known(key)
    if (known !== null) return known
    this.#misses++
    return this.#lookUp(key, key, 'any', [])
  }

  stats(): DnsStats {
    return {
      hits: this.#hits,
      stale: this.#stale,
      misses: this.#misses,
      failures: this.#failures,
      sent: this.#nameServers.sent,
      names: this.#cache.size,
    }
  }

  /** Ends look-ups that are under way: whoever waits for one gets a failure. */
  close(): void {
    this.#cancellation.cancel()
  }

  /** What is known without waiting; null when only a look-up can tell. */
  #known(key: string): Resolution | null {
    const host = this.#fromHosts(key)
    if (host !== null) return this.#hit(host)
    const entry = this.#cache.get(key)
    if (entry !== undefined) {
      const now = this.#nowMs()
      if (now < entry.resolution.expiresAtMs) return this.#hit(entry.resolution)
      if (now >= entry.usableUntilMs) return null
      this.#stale++
      if (now >= entry.refreshAtMs && !this.#running.has(key)) void this.#lookUp(key, key, 'any', [])
      return entry.resolution
    }
    const literal = fromLiteral(key)
    if (literal !== null) return this.#hit(literal)
    if (isDnsName(key)) return null
    // Names come from configuration and templates; this one could not even be asked for.
    const message = `dns client error: invalid name ${JSON.stringify(name80(key))}`
    return { ok: false, code: 'name_error', message, expiresAtMs: Infinity }
  }

  #hit(resolution: Resolution): Resolution {
    this.#hits++
    return resolution
  }

  #fromHosts(key: string): Resolution | null {
    const hosts = this.#hosts.value
    if (hosts !== this.#hostsSeen) {
      this.#hostResolutions.clear()
      this.#hostsSeen = hosts
    }
    const made = this.#hostResolutions.get(key)
    const now = this.#nowMs()
    if (made !== undefined && now < made.expiresAtMs) return made
    const host = findHost(hosts, comparableName(key))
    if (host === null) return null
    const resolution = hostResolution(host, this.#addressTypes[0]!, now + HOSTS_TTL_MS)
    // Names below .localhost are without number: only those of the file are kept.
    if (hosts.has(key)) this.#hostResolutions.set(key, resolution)
    return resolution
  }

  /** One look-up per key at a time; never rejects. `path` are the keys that wait for this one, by way of aliases. */
  #lookUp(key: string, name: string, kind: Kind, path: readonly string[]): Promise<Resolution> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const promise = this.#find(key, name, kind, path)
    this.#running.set(key, promise)
    return promise
  }

  async #find(key: string, name: string, kind: Kind, path: readonly string[]): Promise<Resolution> {
    const { timeoutMs, attempts } = this.#plan()
    const limitMs = timeoutMs * attempts + LOOKUP_GRACE_MS
    const deadlineMs = this.#nowMs() + limitMs
    const { search, ndots } = this.#resolvConf.value
    const result = await within(
      limitMs,
      lookUp(
        {
          name,
          types: kind === 'addresses' ? this.#addressTypes : this.#types(this.#cache.peek(key)?.lastType ?? null),
          addressTypes: this.#addressTypes,
          search,
          ndots,
          deadlineMs,
        },
        {
          query: (fullName, type, endsAtMs) => this.#nameServers.query(fullName, type, endsAtMs),
          resolveOther: (other, otherKind) => this.#resolveOther(other, otherKind, [...path, key]),
          nowMs: this.#nowMs,
        },
      ),
    )
    this.#running.delete(key)
    return this.#store(key, result)
  }

  /** A complete name (with its final dot) met on the way: an alias' target or that of a SRV record. */
  async #resolveOther(name: string, kind: Kind, path: readonly string[]): Promise<Resolution> {
    const bare = comparableName(name)
    const known = this.#fromHosts(bare) ?? fromLiteral(bare)
    if (known !== null) return known
    // Two kinds of questions about one name have different answers.
    const key = kind === 'any' ? name : `addresses ${name}`
    const entry = this.#cache.get(key)
    if (entry !== undefined && this.#nowMs() < entry.resolution.expiresAtMs) return entry.resolution
    if (path.includes(key) || path.includes(bare)) return this.#failure('resolve_failed', 'recursion detected')
    if (!isDnsName(name)) return this.#failure('name_error', `dns client error: invalid name ${JSON.stringify(bare)}`)
    return await this.#lookUp(key, name, kind, path)
  }

  #store(key: string, result: Found | NotFound): Resolution {
    const now = this.#nowMs()
    const before = this.#cache.get(key)
    if ('addresses' in result) return this.#storeFound(key, result, before, now)

    this.#failures++
    const { reason, message } = result
    const { dns_not_found_ttl: notFoundTtl, dns_error_ttl: errorTtl } = this.#settings
    const isAboutName = reason === 'name_error' || reason === 'empty'
    const ttlMs = (isAboutName ? notFoundTtl : errorTtl) * 1000
    const isFirst = before === undefined || !before.isFailing

    // Only 'there is no such name' takes back addresses that were right: an empty answer or a failing server may be an accident.
    if (before?.resolution.ok === true && reason !== 'name_error' && now < before.usableUntilMs) {
      before.refreshAtMs = now + ttlMs
      before.isFailing = true
      const staleUntil = new Date(before.usableUntilMs).toISOString()
      if (isFirst)
        this.#log?.warn(
          { name: key, reason: message, stale_until: staleUntil },
          'name not refreshed, last addresses stay',
        )
      return before.resolution
    }
    const resolution = this.#failure(isAboutName ? 'name_error' : 'resolve_failed', message, now + ttlMs)
    this.#cache.set(key, {
      resolution,
      usableUntilMs: isAboutName ? resolution.expiresAtMs : resolution.expiresAtMs + FAILURE_STALE_MS,
      refreshAtMs: resolution.expiresAtMs,
      lastType: null,
      isFailing: true,
    })
    if (isFirst && !this.#cancellation.isCancelled) this.#log?.warn({ name: key, reason: message }, 'name not resolved')
    return resolution
  }

  #storeFound(key: string, found: Found, before: Entry | undefined, now: number): Resolution {
    const { dns_valid_ttl: validTtl, dns_stale_ttl: staleTtl } = this.#settings
    const ttlSeconds = Math.min(MAX_TTL_SECONDS, Math.max(MIN_TTL_SECONDS, validTtl ?? found.ttlSeconds))
    const expiresAtMs = now + ttlSeconds * 1000
    const resolution: Resolution = { ok: true, type: found.type, addresses: found.addresses, expiresAtMs }
    this.#cache.set(key, {
      resolution,
      usableUntilMs: expiresAtMs + staleTtl * 1000,
      refreshAtMs: expiresAtMs,
      lastType: found.asked,
      isFailing: false,
    })
    if (before?.isFailing === true) this.#log?.info({ name: key, type: found.type }, 'name resolved again')
    return resolution
  }

  #failure(code: 'name_error' | 'resolve_failed', message: string, expiresAtMs = this.#nowMs()): Resolution {
    return { ok: false, code, message, expiresAtMs }
  }

  /** The order without LAST, which becomes the type that worked last if the order has it. */
  #types(lastType: RecordType | null): readonly RecordType[] {
    const types = new Set<RecordType>()
    for (const item of this.#order) {
      if (item !== 'LAST') types.add(item)
      else if (lastType !== null) types.add(lastType)
    }
    return [...types]
  }

  #plan(): QueryPlan {
    const { nameServers, timeoutMs, attempts, rotate } = this.#resolvConf.value
    const { dns_timeout: timeout } = this.#settings
    return {
      nameServers: this.#fixedNameServers ?? nameServers,
      timeoutMs: timeout === null ? timeoutMs : timeout * 1000,
      attempts,
      rotate,
    }
  }

  #watch<T>(path: string, parse: (text: string) => T): WatchedFile<T> {
    const onError = (error: unknown): void => this.#log?.warn({ path, error }, 'file not read, its last content counts')
    return new WatchedFile({ path, parse, nowMs: this.#nowMs, onError })
  }
}

/** The result, or a failure after `limitMs`. A thrown error (no free file descriptor, for example) is a failure of this look-up only. */
function within(limitMs: number, result: Promise<Found | NotFound>): Promise<Found | NotFound> {
  const { promise, resolve } = Promise.withResolvers<Found | NotFound>()
  const fail = (message: string): void => resolve({ reason: 'network', message: `dns client error: ${message}` })
  const timer = setTimeout(fail, limitMs, 'timeout')
  result.then(resolve, (error: unknown) => fail(error instanceof Error ? error.message : String(error)))
  return promise.finally(() => clearTimeout(timer))
}

function fromLiteral(name: string): Resolution | null {
  const ip = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name
  const family = isIP(ip)
  if (family === 0 || (family === 4 && ip !== name)) return null
  return { ok: true, type: family === 4 ? 'A' : 'AAAA', addresses: [addressOf(ip)], expiresAtMs: Infinity }
}

function hostResolution({ v4, v6 }: HostAddresses, preferred: 'A' | 'AAAA', expiresAtMs: number): Resolution {
  const isV6 = v4 === null || (preferred === 'AAAA' && v6 !== null)
  return { ok: true, type: isV6 ? 'AAAA' : 'A', addresses: [addressOf(isV6 ? v6! : v4)], expiresAtMs }
}

function addressOf(ip: string): ResolvedAddress {
  return { ip, port: 0, weight: 0, priority: 0, srvName: null }
}

function name80(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}...` : name
}
