import { isIP, isIPv4 } from 'node:net'
import { accept, expect, splitList, type Kind } from './kind.ts'
import { choice, duration, flag, integer, list, milliseconds, text } from './scalars.ts'
import { setting } from './setting.ts'

/** Replicas for each data center. */
export type DataCenters = Readonly<Record<string, number>>

/** A name or an address; Kong has the port in `cassandra_port`. */
const contactPoint: Kind<string> = {
  form: 'host name | IP',
  shape: 'text',
  parse(value) {
    if (isIP(value) !== 0 || /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(value)) return accept(value)
    if (/:\d+$/.test(value)) return expect('a name or an IP address', 'the port belongs in cassandra_port')
    return expect('a name or an IP address')
  },
}

const dataCenterName = text('name', /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/, 'the name of a data center')

/** Kong's `dc1:3,dc2:3`. */
const dataCenters: Kind<DataCenters> = {
  form: 'list of NAME:REPLICAS',
  shape: 'array',
  parse(value) {
    const replicas: Record<string, number> = {}
    for (const part of splitList(value)) {
      const [, name = '', count = ''] = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,99}):([1-9]\d?)$/.exec(part) ?? []
      if (name === '') return expect(`data centers with their number of replicas, such as dc1:3,dc2:3 (at '${part}')`)
      if (Object.hasOwn(replicas, name)) return expect(`each data center once (at '${part}')`)
      replicas[name] = Number(count)
    }
    return accept(replicas)
  },
}

/** `10.0.0.1=203.0.113.1, 10.0.0.2=203.0.113.1:9043`: what a node says of itself, and where it is reached. */
const addressMap: Kind<Readonly<Record<string, string>>> = {
  form: 'list of IP=HOST[:PORT]',
  shape: 'array',
  parse(value) {
    const map: Record<string, string> = {}
    for (const part of splitList(value)) {
      const [told = '', reached = '', ...rest] = part.split('=')
      const isReachable = isIP(reached) !== 0 || /^[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?$/.test(reached)
      if (isIP(told) === 0 || !isReachable || rest.length > 0)
        return expect(`addresses with what they are replaced by, such as 10.0.0.1=203.0.113.1 (at '${part}')`)
      // A node is connected to by its address; only contact points are names.
      if (isIP(reached) === 0 && !isIPv4(reached.replace(/:\d+$/, '')))
        return expect(`an IP address after the = (at '${part}')`)
      map[told] = reached
    }
    return accept(map)
  },
}

/** Kong's words that the log's promises don't allow, with what is done instead. */
function consistency<const T extends string>(words: readonly T[], raised: Readonly<Record<string, T>>): Kind<T> {
  const kind = choice(words)
  return {
    ...kind,
    parse(value, surroundings) {
      const instead = Object.hasOwn(raised, value) ? raised[value] : undefined
      if (instead === undefined) return kind.parse(value, surroundings)
      const why =
        value === 'ALL'
          ? 'one dead replica would stop everything'
          : 'fewer replicas could lack what was already told to be committed'
      return accept(instead, `${value} is taken as ${instead}, because ${why}`)
    },
  }
}

const LEVELS = ['LOCAL_QUORUM', 'QUORUM', 'EACH_QUORUM'] as const
const RAISED = {
  ONE: 'LOCAL_QUORUM',
  TWO: 'LOCAL_QUORUM',
  THREE: 'LOCAL_QUORUM',
  LOCAL_ONE: 'LOCAL_QUORUM',
  ALL: 'EACH_QUORUM',
} as const

/** The cluster that the configuration is kept in with `database = cassandra`. */
export const cassandraSettings = {
  cassandra_contact_points: setting(
    list(contactPoint),
    'Nodes of the local data center by which the others are found. They are resolved again whenever the connection is lost.',
    { default: '127.0.0.1' },
  ),
  cassandra_port: setting(integer(1, 65_535), 'Port of the native protocol on all nodes.', { default: '9042' }),
  cassandra_keyspace: setting(
    text('name', /^[a-z][a-z0-9_]{0,47}$/, 'a name of small letters, digits and _'),
    'Keyspace of the tables; `meridian migrations up` makes it.',
    { default: 'meridian' },
  ),
  cassandra_local_datacenter: setting(
    dataCenterName,
    "Data center of this node, by Cassandra's name. Only its nodes are asked. Required with `database = cassandra`.",
    { default: null, aliases: ['cassandra_local_data_center'] },
  ),
  cassandra_data_centers: setting(
    dataCenters,
    'Data centers that hold the configuration, each with its number of replicas. `meridian migrations up` makes the keyspace with them; later they are changed with ALTER KEYSPACE and a repair.',
    { default: null },
  ),
  cassandra_read_consistency: setting(
    consistency(LEVELS, RAISED),
    'How many replicas a read asks. Less than `LOCAL_QUORUM` could miss what was told to be visible.',
    { default: 'LOCAL_QUORUM' },
  ),
  cassandra_write_consistency: setting(
    consistency(LEVELS, RAISED),
    'How many replicas have a transaction before it is told to be committed. What is committed is decided by a majority of all replicas in any case.',
    { default: 'QUORUM' },
  ),
  cassandra_timeout: setting(
    milliseconds(100, 600_000),
    'How long connecting and each statement may take. A plain number is in milliseconds, as in Kong.',
    { default: '5000' },
  ),
  cassandra_schema_consensus_timeout: setting(
    milliseconds(1000, 600_000),
    'How long `meridian migrations` waits after each statement until all nodes have the same schema. A plain number is in milliseconds.',
    { default: '10000' },
  ),
  cassandra_refresh_frequency: setting(
    duration(0, 86_400_000),
    'How often the list of nodes is read again, besides what the cluster tells by itself; 0 is never.',
    { default: '60' },
  ),
  cassandra_address_map: setting(
    addressMap,
    'Addresses of nodes as the cluster tells them, each with where it is reached from here: behind a NAT, for example.',
    { default: '' },
  ),
  cassandra_ssl: setting(flag, 'Whether the connections to Cassandra use TLS.', { default: 'off' }),
  cassandra_ssl_verify: setting(
    flag,
    "Whether its certificates are verified, against `lua_ssl_trusted_certificate`. They need the nodes' IP addresses as alternative names. Kong does not verify by default.",
    { default: 'on' },
  ),
  cassandra_username: setting(
    text('name', /\S/, 'a name'),
    'Role to log in as, where the cluster asks for a password.',
    { default: null },
  ),
  cassandra_password: setting(text('password', /^[^]+$/, 'a password'), 'Password of that role.', {
    default: null,
    secret: true,
  }),
  db_update_frequency: setting(
    duration(50, 60_000),
    'How often a node asks for new revisions: one read of one partition.',
    { default: '500ms' },
  ),
} as const
