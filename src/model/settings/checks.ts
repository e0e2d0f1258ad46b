/** What settings have to keep together: rules over more than one of them. */
import { createSecureContext } from 'node:tls'
import type { SettingKey, Settings } from '../settings.ts'
import { checkRedisDataCenters } from './redis-data-centers.ts'
import { isLoopback, listenersCollide, type Listener } from './listener.ts'

export interface SettingChecks {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

/** `placeOf` is what a message about a key starts with: file and line, or the name of a variable. */
export function checkSettings(
  settings: Settings,
  isGiven: (key: SettingKey) => boolean,
  placeOf: (key: SettingKey) => string,
): SettingChecks {
  const problems: string[] = []
  const warnings: string[] = []

  checkListeners(settings, placeOf, problems, warnings)
  checkCertificates(settings, placeOf, problems)
  checkStore(settings, isGiven, placeOf, problems)
  checkCassandra(settings, placeOf, problems)
  checkRedisDataCenters(settings, placeOf, problems)

  const logs = [settings.proxy_access_log, settings.admin_access_log, settings.status_access_log]
  if (settings.access_log_format === null && logs.some((log) => log.to !== 'off' && log.format === 'custom')) {
    problems.push('access_log_format: expected a line with variables, because an access log has the format custom')
  }
  if (settings.client_ssl && (settings.client_ssl_cert === null || settings.client_ssl_cert_key === null)) {
    problems.push(`${placeOf('client_ssl')}: expected client_ssl_cert and client_ssl_cert_key to be set with it`)
  }
  return { problems, warnings }
}

const LISTEN_KEYS = ['proxy_listen', 'stream_listen', 'admin_listen', 'status_listen'] as const

function checkListeners(
  settings: Settings,
  placeOf: (key: SettingKey) => string,
  problems: string[],
  warnings: string[],
): void {
  const all: { key: SettingKey; listener: Listener }[] = []
  for (const key of LISTEN_KEYS) {
    for (const listener of settings[key]) {
      const other = all.find((one) => listenersCollide(one.listener, listener))
      if (other !== undefined) {
        const place = other.key === key ? '' : ` of ${other.key}`
        problems.push(`${placeOf(key)}: ${listener.address} can not be used beside ${other.listener.address}${place}`)
      }
      all.push({ key, listener })
      if (listener.proxyProtocol && listener.udp)
        problems.push(`${placeOf(key)}: proxy_protocol is for connections, not for udp (at '${listener.address}')`)
      if (listener.udp && (key !== 'stream_listen' || listener.ssl || listener.socketPath !== null))
        problems.push(
          `${placeOf(key)}: udp is for addresses of stream_listen without ssl only (at '${listener.address}')`,
        )
      if (listener.http2 && key !== 'proxy_listen')
        warnings.push(`${placeOf(key)}: HTTP/2 is for proxy_listen only, clients of ${listener.address} get HTTP/1.1`)
    }
  }
  for (const key of ['admin_listen', 'status_listen'] as const) {
    for (const listener of settings[key]) {
      if (listener.proxyProtocol)
        problems.push(
          `${placeOf(key)}: proxy_protocol is for proxy_listen and stream_listen only (at '${listener.address}')`,
        )
    }
  }
  if (
    settings.real_ip_header.toLowerCase() === 'proxy_protocol' &&
    !settings.proxy_listen.some((listener) => listener.proxyProtocol)
  )
    warnings.push(`${placeOf('real_ip_header')}: no address of proxy_listen has the flag proxy_protocol`)
  const open = settings.admin_listen.find((listener) => !isLoopback(listener))
  if (open !== undefined && settings.admin_token_file === null) {
    warnings.push(
      `${placeOf('admin_listen')}: ${open.address} can be reached from other machines and is opened only with admin_token_file, which names who may use it`,
    )
  }
}

const CERTIFICATE_PAIRS = [
  ['ssl_cert', 'ssl_cert_key'],
  ['admin_ssl_cert', 'admin_ssl_cert_key'],
  ['status_ssl_cert', 'status_ssl_cert_key'],
] as const

function checkCertificates(settings: Settings, placeOf: (key: SettingKey) => string, problems: string[]): void {
  for (const [certificates, keys] of CERTIFICATE_PAIRS) {
    const [count, keyCount] = [settings[certificates].length, settings[keys].length]
    if (count === keyCount) continue
    problems.push(
      `${placeOf(keys)}: expected as many keys as ${certificates} has certificates, which is ${count}, got ${keyCount}`,
    )
  }
  if (settings.ssl_client_certificate === null && /^o(n|ptional)$/.test(settings.ssl_verify_client)) {
    problems.push(
      `${placeOf('ssl_verify_client')}: expected ssl_client_certificate to be set with ${settings.ssl_verify_client}`,
    )
  }
  if (settings.ssl_cipher_suite === 'custom' && settings.ssl_ciphers === null) {
    problems.push(`${placeOf('ssl_cipher_suite')}: expected ssl_ciphers to be set with custom`)
  }
  if (settings.ssl_ciphers !== null && !namesCiphers(settings.ssl_ciphers)) {
    const expected = 'expected names of ciphers for TLS 1.2 as OpenSSL has them, separated by colons'
    problems.push(`${placeOf('ssl_ciphers')}: ${expected}, got ${settings.ssl_ciphers}`)
  }
}

/** As for nginx, names that this OpenSSL does not know are passed over, as long as one is left. */
function namesCiphers(ciphers: string): boolean {
  try {
    createSecureContext({ ciphers, maxVersion: 'TLSv1.2' })
    return true
  } catch {
    // OpenSSL's message ("no cipher match") says less than what was expected.
    return false
  }
}

function checkStore(
  settings: Settings,
  isGiven: (key: SettingKey) => boolean,
  placeOf: (key: SettingKey) => string,
  problems: string[],
): void {
  const { database, declarative_config: file, declarative_config_string: text } = settings
  if (file !== null && text !== null) {
    problems.push(`${placeOf('declarative_config_string')}: expected either this or declarative_config, got both`)
  }
  for (const key of ['declarative_config', 'declarative_config_string'] as const) {
    if (settings[key] === null || database === 'off') continue
    const why = isGiven('database') ? `database is ${database}` : `database is ${database} when nothing is set`
    problems.push(`${placeOf(key)}: only read with database = off, but ${why}`)
  }
  if (settings.keyring_file !== null && settings.keyring_env !== null) {
    problems.push(`${placeOf('keyring_env')}: expected either this or keyring_file, got both`)
  }
}

function checkCassandra(settings: Settings, placeOf: (key: SettingKey) => string, problems: string[]): void {
  const { cassandra_local_datacenter: local, cassandra_data_centers: all } = settings
  if (local !== null && all !== null && !Object.hasOwn(all, local)) {
    const names = Object.keys(all).join(', ')
    problems.push(
      `${placeOf('cassandra_local_datacenter')}: expected one of those in cassandra_data_centers (${names}), got '${local}'`,
    )
  }
  if ((settings.cassandra_username === null) !== (settings.cassandra_password === null)) {
    const [given, lacking] =
      settings.cassandra_username === null
        ? (['cassandra_password', 'cassandra_username'] as const)
        : (['cassandra_username', 'cassandra_password'] as const)
    problems.push(`${placeOf(given)}: expected ${lacking} to be set with it`)
  }
  if (settings.database !== 'cassandra') return
  const place = placeOf('database')
  if (settings.cassandra_contact_points.length === 0)
    problems.push(`${placeOf('cassandra_contact_points')}: expected at least one node`)
  if (local === null)
    problems.push(
      `${place}: expected cassandra_local_datacenter to be set with cassandra: the data center of this node`,
    )
  if (settings.keyring_file === null && settings.keyring_env === null)
    problems.push(`${place}: expected keyring_file or keyring_env to be set with cassandra: one keyring for all nodes`)
}
