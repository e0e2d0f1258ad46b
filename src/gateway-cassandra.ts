/** The connection to the Cassandra cluster that the settings describe. */
import type { Settings } from '#model/settings.ts'
import { openCassandraDriver, type CassandraDriver, type DriverObserver } from '#store/cassandra/driver.ts'
import { trustedAuthorities } from './trusted-authorities.ts'

/** Begins to connect, and returns at once. Throws SETTINGS_INVALID for a file that can't be read. */
export function openCassandra(settings: Settings, observer: DriverObserver = {}): CassandraDriver {
  const {
    cassandra_local_datacenter: localDataCenter,
    cassandra_username: username,
    cassandra_password: password,
  } = settings
  if (localDataCenter === null) throw new Error('cassandra_local_datacenter is checked with the settings')
  const ca = settings.cassandra_ssl ? trustedAuthorities(settings) : null
  return openCassandraDriver({
    contactPoints: settings.cassandra_contact_points,
    port: settings.cassandra_port,
    localDataCenter,
    ...(settings.cassandra_ssl && { tls: { verify: settings.cassandra_ssl_verify, ...(ca !== null && { ca }) } }),
    ...(username !== null && password !== null && { credentials: { username, password } }),
    addresses: new Map(Object.entries(settings.cassandra_address_map)),
    connectTimeoutMs: settings.cassandra_timeout,
    timeoutMs: settings.cassandra_timeout,
    refreshMs: settings.cassandra_refresh_frequency,
    observer,
  })
}
