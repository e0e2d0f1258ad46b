/** One Cassandra node: its files and the command line that starts it. What each flag is for is said where it is not plain. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { TestCertificate } from './certificates.ts'
import type { ProbeOptions } from './cql-probe.ts'

export interface CassandraProgram {
  /** `java`. */
  readonly command: string
  /** The folder with Cassandra's jars. */
  readonly jars: string
  /** Their classes as Java loads them fastest, see cassandra-archive.ts. */
  readonly archive: string | null
}

export interface NodeTls {
  /** Of the authority that signed the nodes' certificate and those of clients. */
  readonly ca: string
  readonly node: TestCertificate
  readonly isClientAsked: boolean
}

export interface NodePlan {
  /** Holds everything of the node. */
  readonly folder: string
  readonly address: string
  /** The network namespace that it runs in; null on the machine itself. */
  readonly namespace: string | null
  readonly dataCenter: string
  readonly token: string
  readonly seeds: readonly string[]
  readonly port: number
  readonly storagePort: number
  readonly tlsStoragePort: number
  /** On 127.0.0.1, which JMX binds whatever the node's address is; of the namespace, if it has one. */
  readonly jmxPort: number
  readonly heapMb: number
  /** Clients need TLS. */
  readonly tls?: NodeTls
  /** Clients log in, at first as `FIRST_ROLE`. */
  readonly auth?: boolean
  /** Further settings of cassandra.yaml. */
  readonly settings: Readonly<Record<string, unknown>>
}

export function writeNodeFiles(plan: NodePlan): void {
  const { folder, address, seeds } = plan
  mkdirSync(folder, { recursive: true })
  const configuration = {
    cluster_name: 'meridian',
    partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner',
    // Tokens of their own and no streaming at the start: all nodes can be started at once.
    num_tokens: 1,
    initial_token: plan.token,
    auto_bootstrap: false,
    seed_provider: [
      { class_name: 'org.apache.cassandra.locator.SimpleSeedProvider', parameters: [{ seeds: seeds.join(',') }] },
    ],
    listen_address: address,
    rpc_address: address,
    storage_port: plan.storagePort,
    ssl_storage_port: plan.tlsStoragePort,
    native_transport_port: plan.port,
    data_file_directories: [path.join(folder, 'data')],
    commitlog_directory: path.join(folder, 'commitlog'),
    hints_directory: path.join(folder, 'hints'),
    saved_caches_directory: path.join(folder, 'saved_caches'),
    cdc_raw_directory: path.join(folder, 'cdc_raw'),
    endpoint_snitch: 'GossipingPropertyFileSnitch',
    dynamic_snitch: false,
    // The configuration log believes what was acknowledged, and what Paxos promised, to survive a loss of power. With the
    // default, `periodic`, up to 10 s of both are gone then; with `group` each write waits for its window, of which a
    // lightweight transaction has several in a row; `batch` syncs at once, and whoever comes meanwhile shares the next.
    commitlog_sync: 'batch',
    commitlog_segment_size: '8MiB',
    commitlog_total_space: '64MiB',
    memtable_heap_space: '32MiB',
    memtable_offheap_space: '32MiB',
    file_cache_size: '16MiB',
    networking_cache_size: '16MiB',
    key_cache_size: '2MiB',
    counter_cache_size: '1MiB',
    row_cache_size: '0MiB',
    concurrent_reads: 8,
    concurrent_writes: 8,
    concurrent_counter_writes: 4,
    concurrent_materialized_view_writes: 2,
    concurrent_compactors: 1,
    memtable_flush_writers: 1,
    native_transport_max_threads: 16,
    hints_flush_period: '1000ms',
    auto_snapshot: false,
    // Dead nodes are noticed in 16 s and not in 22.
    phi_convict_threshold: 5,
    read_request_timeout: '5000ms',
    write_request_timeout: '3000ms',
    request_timeout: '10000ms',
    cas_contention_timeout: '2000ms',
    truncate_request_timeout: '20000ms',
    disk_access_mode: 'mmap_index_only',
    ...(plan.tls !== undefined && { client_encryption_options: tlsSettings(folder, plan.tls) }),
    ...(plan.auth === true && AUTH_SETTINGS),
    ...plan.settings,
  }
  // JSON is YAML.
  writeFileSync(path.join(folder, 'cassandra.yaml'), JSON.stringify(configuration, null, 2))
  writeFileSync(path.join(folder, 'rackdc.properties'), `dc=${plan.dataCenter}\nrack=rack1\n`)
  writeFileSync(path.join(folder, 'logback.xml'), LOGBACK)
}

/** From PEM files, so that no keystore has to be made. */
function tlsSettings(folder: string, { ca, node, isClientAsked }: NodeTls): object {
  const keys = path.join(folder, 'node.pem')
  const authorities = path.join(folder, 'ca.pem')
  writeFileSync(keys, `${node.key}\n${node.cert}\n`)
  writeFileSync(authorities, ca)
  return {
    enabled: true,
    optional: false,
    ssl_context_factory: { class_name: 'org.apache.cassandra.security.PEMBasedSslContextFactory' },
    keystore: keys,
    truststore: authorities,
    require_client_auth: isClientAsked,
    accepted_protocols: ['TLSv1.3', 'TLSv1.2'],
  }
}

/** It may do everything. */
export const FIRST_ROLE = { username: 'cassandra', password: 'cassandra' }

const AUTH_SETTINGS = {
  authenticator: { class_name: 'org.apache.cassandra.auth.PasswordAuthenticator' },
  authorizer: { class_name: 'org.apache.cassandra.auth.CassandraAuthorizer' },
  role_manager: { class_name: 'org.apache.cassandra.auth.CassandraRoleManager' },
  // A role that a test changes counts at once.
  roles_validity: '0ms',
  permissions_validity: '0ms',
  credentials_validity: '0ms',
}

/** How clients reach it, with everything that they are asked for. */
export function probeOf({ address, port, tls, auth }: NodePlan): ProbeOptions {
  return {
    host: address,
    port,
    ...(tls !== undefined && { tls: { ca: tls.ca, ...tls.node } }),
    ...(auth === true && { credentials: FIRST_ROLE }),
  }
}

export interface CommandLine {
  readonly command: string
  readonly args: readonly string[]
}

/** `further`: options of Java. */
export function nodeCommand(plan: NodePlan, program: CassandraProgram, further: readonly string[] = []): CommandLine {
  return within(plan.namespace, program.command, nodeArguments(plan, program, further))
}

/** JMX listens on the loopback of the node's own namespace, so nodetool runs there too. */
export function nodetoolCommand(
  { jmxPort, folder, namespace }: NodePlan,
  { command: java, jars }: CassandraProgram,
  command: readonly string[],
): CommandLine {
  return within(namespace, java, nodetoolArguments(jmxPort, jars, folder, command))
}

/** `ip netns exec` becomes what it runs, so the process keeps its id. */
function within(namespace: string | null, command: string, args: readonly string[]): CommandLine {
  return namespace === null
    ? { command, args }
    : { command: 'ip', args: ['netns', 'exec', namespace, command, ...args] }
}

/** Arguments of `java`; the class path is the same for every node and needs no folder. */
function nodeArguments(
  { folder, heapMb, jmxPort }: NodePlan,
  { jars, archive }: CassandraProgram,
  further: readonly string[],
): string[] {
  const file = (name: string) => `file://${path.join(folder, name)}`
  return [
    ...jvmOptions(jars),
    // For an archive of classes; without the second none is allowed beside an agent.
    '-XX:+UnlockDiagnosticVMOptions',
    '-XX:+AllowArchivingWithJavaAgent',
    ...(archive === null ? [] : [`-XX:SharedArchiveFile=${archive}`]),
    ...further,
    '-Xms64m',
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-Xss256k',
    '-XX:TieredStopAtLevel=1',
    '-XX:+PerfDisableSharedMem',
    '-XX:MaxDirectMemorySize=128m',
    '-XX:+ExitOnOutOfMemoryError',
    '-Djava.net.preferIPv4Stack=true',
    '-Djdk.attach.allowAttachSelf=true',
    `-Djava.io.tmpdir=${folder}`,
    `-Dcassandra.config=${file('cassandra.yaml')}`,
    `-Dcassandra-rackdc.properties=${file('rackdc.properties')}`,
    `-Dlogback.configurationFile=${file('logback.xml')}`,
    `-Dcassandra.storagedir=${folder}`,
    `-Dcassandra.logdir=${folder}`,
    '-Dcassandra-foreground=yes',
    `-Dcassandra.jmx.local.port=${jmxPort}`,
    '-Dcassandra.skip_wait_for_gossip_to_settle=0',
    '-Dcassandra.ring_delay_ms=1000',
    '-Dcassandra.consistent.rangemovement=false',
    '-Dcassandra.superuser_setup_delay_ms=0',
    '-Dcassandra.shutdown_announce_in_ms=500',
    ...classPath(jars),
    'org.apache.cassandra.service.CassandraDaemon',
  ]
}

function nodetoolArguments(jmxPort: number, jars: string, home: string, command: readonly string[]): string[] {
  return [
    '--add-exports=java.base/sun.nio.ch=ALL-UNNAMED',
    '--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED',
    '--add-opens=java.base/java.lang=ALL-UNNAMED',
    '-Xmx128m',
    `-Duser.home=${home}`,
    `-Dlogback.configurationFile=file://${path.join(home, 'logback.xml')}`,
    ...classPath(jars),
    'org.apache.cassandra.tools.NodeTool',
    '-h',
    '127.0.0.1',
    '-p',
    String(jmxPort),
    ...command,
  ]
}

/** Files only, in a fixed order: with a folder among them Java writes no archive of classes. */
function classPath(jars: string): string[] {
  const files = readdirSync(jars).filter((name) => name.endsWith('.jar'))
  return [
    '-cp',
    files
      .toSorted()
      .map((name) => path.join(jars, name))
      .join(':'),
  ]
}

function jvmOptions(jars: string): string[] {
  const agent = readdirSync(jars).find((name) => name.startsWith('jamm-'))
  return [
    ...(agent === undefined ? [] : [`-javaagent:${path.join(jars, agent)}`]),
    ...OPENS.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
    ...EXPORTS.map((name) => `--add-exports=${name}=ALL-UNNAMED`),
  ]
}

/** Without these Cassandra ends at its start on Java 17. */
const OPENS = [
  'java.base/java.lang',
  'java.base/java.lang.module',
  'java.base/java.io',
  'java.base/java.nio',
  'java.base/java.net',
  'java.base/java.util',
  'java.base/java.util.concurrent',
  'java.base/java.util.concurrent.atomic',
  'java.base/jdk.internal.loader',
  'java.base/jdk.internal.ref',
  'java.base/jdk.internal.reflect',
  'java.base/jdk.internal.math',
  'java.base/jdk.internal.module',
  'java.base/jdk.internal.util.jar',
  'java.base/sun.nio.ch',
  'jdk.management/com.sun.management.internal',
]
const EXPORTS = [
  'java.base/jdk.internal.misc',
  'java.base/jdk.internal.ref',
  'java.base/sun.nio.ch',
  'java.management.rmi/com.sun.jmx.remote.internal.rmi',
  'java.rmi/sun.rmi.registry',
  'java.rmi/sun.rmi.server',
  'java.rmi/sun.rmi.transport.tcp',
  'java.sql/java.sql',
  'jdk.unsupported/sun.misc',
  'jdk.attach/sun.tools.attach',
]

const LOGBACK = `<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
`
