import { accept, expectAt, splitList, type Kind, type Parsed } from './kind.ts'
import { integer, milliseconds, text } from './scalars.ts'
import { setting } from './setting.ts'

/** A Redis that configurations name. */
export interface RedisProfile {
  readonly name: string
  readonly kind: 'standalone' | 'sentinel' | 'cluster'
  readonly addresses: readonly { readonly host: string; readonly port: number }[]
  /** What Sentinel calls the master. */
  readonly master: string | null
  readonly username: string | null
  readonly password: string | null
  readonly sentinelPassword: string | null
  readonly database: number
  readonly tls: { readonly verify: boolean; readonly serverName: string | null } | null
}

const NAME = '[a-z][a-z0-9_-]{0,62}'
/** Where a profile begins: addresses of one have commas between them, too. */
const BEGINNING = new RegExp(`^(${NAME})=(rediss?(?:\\+sentinel|\\+cluster)?)://(.*)$`)
const DEFAULT_PORTS = { standalone: 6379, sentinel: 26_379, cluster: 6379 } as const
const OPTIONS: readonly string[] = ['master', 'verify', 'server_name', 'sentinel_password']
const FORM = 'NAME=redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]'

const profiles: Kind<readonly RedisProfile[]> = {
  form: 'list of NAME=URL',
  shape: 'array',
  parse(value) {
    const urls: string[] = []
    for (const part of splitList(value)) {
      if (BEGINNING.test(part)) urls.push(part)
      else if (urls.length > 0) urls[urls.length - 1] += `,${part}`
      else return expectAt(FORM, part)
    }
    const found = new Map<string, RedisProfile>()
    for (const url of urls) {
      const parsed = parseProfile(url)
      if (!parsed.ok) return parsed
      if (found.has(parsed.value.name)) return expectAt('each name once', parsed.value.name)
      found.set(parsed.value.name, parsed.value)
    }
    return accept([...found.values()])
  },
}

/** A data center, and by which profile its Redis is reached from here. */
export interface RedisDataCenter {
  readonly name: string
  readonly profile: string
}

const DATA_CENTER = /^([A-Za-z0-9][A-Za-z0-9_-]{0,62})=([a-z][a-z0-9_-]{0,62})$/

const dataCenters: Kind<readonly RedisDataCenter[]> = {
  form: 'list of DATA CENTER=PROFILE',
  shape: 'array',
  parse(value) {
    const found = new Map<string, RedisDataCenter>()
    for (const part of splitList(value)) {
      const [, name, profile] = DATA_CENTER.exec(part) ?? []
      if (name === undefined || profile === undefined) return expectAt('DATA_CENTER=PROFILE', part)
      if (found.has(name)) return expectAt('each data center once', name)
      found.set(name, { name, profile })
    }
    return accept([...found.values()])
  },
}

/** The part that is told as wrong never holds the password. */
function parseProfile(url: string): Parsed<RedisProfile> {
  const [, name = '', scheme = '', rest = ''] = BEGINNING.exec(url) ?? []
  const kind = scheme.endsWith('+sentinel') ? 'sentinel' : scheme.endsWith('+cluster') ? 'cluster' : 'standalone'
  const [place = '', query = ''] = splitOnce(rest, '?')
  const at = place.lastIndexOf('@')
  const [user = '', secret = null] = at < 0 ? ['', null] : splitOnce(place.slice(0, at), ':')
  const [hosts = '', path = ''] = splitOnce(place.slice(at + 1), '/')
  const username = decoded(user)
  const password = secret === null ? null : decoded(secret)
  if (username === null || (secret !== null && password === null))
    return expectAt('user and password with %-escapes where they are needed', name)
  const addresses = []
  for (const text of hosts.split(',')) {
    const address = parseAddress(text, DEFAULT_PORTS[kind])
    if (address === null) return expectAt('HOST or HOST:PORT', text)
    addresses.push(address)
  }
  if (kind === 'standalone' && addresses.length > 1)
    return expectAt('one address; several need redis+sentinel:// or redis+cluster://', hosts)
  if (!/^\d{0,5}$/.test(path)) return expectAt('the number of a database', path)
  const database = Number(path)
  if (kind === 'cluster' && database > 0) return expectAt('no database: a Cluster has only the first', path)
  const options = new URLSearchParams(query)
  for (const key of options.keys()) if (!OPTIONS.includes(key)) return expectAt(`one of ${OPTIONS.join(', ')}`, key)
  const master = options.get('master')
  if ((kind === 'sentinel') !== (master !== null))
    return expectAt("'master', the name that Sentinel has for it, with redis+sentinel:// and only there", name)
  const verify = options.get('verify') ?? 'on'
  if (verify !== 'on' && verify !== 'off') return expectAt('verify=on or verify=off', verify)
  return accept({
    name,
    kind,
    addresses,
    master,
    username: username === '' ? null : username,
    password,
    sentinelPassword: options.get('sentinel_password'),
    database,
    tls: scheme.startsWith('rediss') ? { verify: verify === 'on', serverName: options.get('server_name') } : null,
  })
}

function parseAddress(text: string, defaultPort: number): { host: string; port: number } | null {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = digits === undefined ? defaultPort : Number(digits)
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port }
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)]
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    // A % that begins no escape.
    return null
  }
}

/** Redis, for what nodes share besides the configuration. */
export const redisSettings = {
  redis_profiles: setting(
    profiles,
    'Redis servers by name. A plugin whose `redis.host` is such a name uses that profile, and the rest of its `redis` block has no meaning. `redis://`, or `rediss://` with TLS; `redis+sentinel://HOST,HOST,.../DATABASE?master=NAME` and `redis+cluster://HOST,HOST,...` for those forms. User and password stand before an `@`, with %-escapes. Options: `master`, `server_name` (name in the certificate), `verify=off`, `sentinel_password`. Certificates are verified against `lua_ssl_trusted_certificate`. The whole is a secret; `{vault://env/NAME}` reads it from a variable.',
    { default: '', secret: true },
  ),
  redis_wake: setting(
    text('name of a profile', new RegExp(`^${NAME}$`), 'the name of a profile in redis_profiles'),
    'With `database = cassandra`: the profile over which the nodes of a data center tell each other that there is a new revision, so that they look at once and not with the next `db_update_frequency`. Without it, and while that Redis is away, changes only take longer.',
    { default: null },
  ),
  redis_data_centers: setting(
    dataCenters,
    'Data centers that limit together, each with a Redis of its own: `east=limits, west=limits_west`. The names of data centers and how many there are have to be the same everywhere, the profiles say how each Redis is reached from here. Limits in the profile of this data center are then counted over all of them, see [rate limiting](../rate-limiting.md).',
    { default: '' },
  ),
  redis_local_data_center: setting(
    text('name of a data center', /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'the name of a data center'),
    'Which of `redis_data_centers` this node is in. By default `cassandra_local_datacenter`.',
    { default: null },
  ),
  redis_exchange_interval: setting(
    milliseconds(20, 60_000),
    'How often one node of each data center exchanges what was counted with the other data centers. A plain number is in milliseconds.',
    { default: '200' },
  ),
  redis_command_timeout: setting(
    milliseconds(1, 10_000),
    'How long a request may take longer because Redis does not answer. A command that requests wait for counts as failed a fifth of that sooner, at most 10 ms, since the request has to go on without it and be answered. A shorter `redis.timeout` of a plugin holds for that plugin, a longer one does not. A plain number is in milliseconds.',
    { default: '50' },
  ),
  redis_connect_timeout: setting(
    milliseconds(20, 60_000),
    'How long connecting to Redis may take, with TLS and log-in. As long as it may take until a Redis that was unreachable is found again.',
    { default: '500' },
  ),
  redis_queue_size: setting(
    integer(1, 1_000_000),
    'Commands that each worker has under way to one Redis at most; what is above fails at once.',
    { default: '10000' },
  ),
  redis_nodes: setting(
    integer(1, 10_000),
    'Nodes that limit together over one Redis. While it does not answer, each admits its share of a limit: the limit divided by so many. By default those of its data center that Cassandra knows of, and 1 with another `database`.',
    { default: null },
  ),
  redis_key_prefix: setting(
    text('text', /^[A-Za-z0-9_.:-]{0,64}$/, 'letters, digits and _ . : -, at most 64'),
    'Before every key and channel in Redis. Gateways that share limits have the same.',
    { default: 'meridian:' },
  ),
} as const
