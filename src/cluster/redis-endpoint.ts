/** Which Redis is meant, as plain data: what a profile of the settings or the `redis` block of a plugin says. */
import { createHash } from 'node:crypto'
import type { RedisBlock } from '#model/redis-block.ts'
import type { RedisProfile } from '#model/settings/redis.ts'

/** Its `name` is what messages and metrics say: the profile's name, else address and database; no secret is in it. */
export interface RedisEndpoint extends Omit<RedisProfile, 'tls'> {
  readonly tls: RedisTls | null
  /** How long a command may take before it counts as failed. */
  readonly timeoutMs: number
}

export interface RedisTls {
  readonly verify: boolean
  /** Name that the certificate has to have, and that the server is told; null is the address. */
  readonly serverName: string | null
  /** PEM of the authorities; null is Node's own list. */
  readonly ca: string | null
}

export interface EndpointDefaults {
  /** A block waits no longer than this for a command, whatever its `timeout` says: it is in the way of a request. */
  readonly commandTimeoutMs: number
  readonly ca: string | null
  /** A block whose `host` is the name of one means the profile. */
  readonly profiles: readonly RedisProfile[]
}

/** What follows when there is no answer: noticing it (timers have whole milliseconds), deciding alone, and the upstream's turn. */
const MOST_RESERVED_MS = 10

/** How long a command may take that a request waits for, so that the request takes no longer than `requestMs` because of it. */
export function decisionMs(requestMs: number): number {
  return Math.max(1, requestMs - Math.min(MOST_RESERVED_MS, Math.ceil(requestMs / 5)))
}

export function profileEndpoint(profile: RedisProfile, defaults: Omit<EndpointDefaults, 'profiles'>): RedisEndpoint {
  const tls = profile.tls === null ? null : { ...profile.tls, ca: defaults.ca }
  return { ...profile, tls, timeoutMs: defaults.commandTimeoutMs }
}

/** The Redis that a plugin's block means. Throws when it names none, which the schema keeps out with `policy: redis`. */
export function endpointOf(block: RedisBlock, defaults: EndpointDefaults): RedisEndpoint {
  const { commandTimeoutMs, ca, profiles } = defaults
  const { host } = block
  if (host === null) throw new Error('redis.host: expected the address of a Redis server or the name of a profile')
  const profile = profiles.find(({ name }) => name === host)
  if (profile !== undefined) return profileEndpoint(profile, defaults)
  const port = block.port ?? 6379
  const database = block.database ?? 0
  return {
    name: `${host.includes(':') ? `[${host}]` : host}:${port}/${database}`,
    kind: 'standalone',
    addresses: [{ host, port }],
    master: null,
    username: block.username,
    password: block.password,
    sentinelPassword: null,
    database,
    tls: block.ssl ? { verify: block.ssl_verify ?? false, serverName: block.server_name, ca } : null,
    timeoutMs: Math.max(1, Math.min(block.timeout ?? commandTimeoutMs, commandTimeoutMs)),
  }
}

/** Equal for endpoints that may share a connection; short, and no secret can be read from it. */
export function endpointId(endpoint: RedisEndpoint): string {
  return createHash('sha256').update(JSON.stringify(endpoint)).digest('base64url').slice(0, 8)
}
