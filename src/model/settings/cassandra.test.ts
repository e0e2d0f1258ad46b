import assert from 'node:assert/strict'
import { test } from 'node:test'
import { presentSettings } from './present.ts'
import { readSettings, type ReadSettings } from './read.ts'

const CLUSTER = {
  KONG_DATABASE: 'cassandra',
  KONG_CASSANDRA_LOCAL_DATACENTER: 'dc1',
  MERIDIAN_KEYRING_ENV: 'MERIDIAN_KEYRING',
}

const result = (environment: Record<string, string>) =>
  readSettings({ file: null, environment, overrides: {}, workingFolder: '/srv', cores: 1 })

function read(environment: Record<string, string>): ReadSettings {
  const answer = result(environment)
  if (!answer.ok) assert.fail(answer.problems.join('\n'))
  return answer
}

function problems(environment: Record<string, string>): readonly string[] {
  const answer = result(environment)
  if (answer.ok) assert.fail('expected problems')
  return answer.problems
}

test('a cluster needs its local data center and a keyring, and the rest has defaults', () => {
  const { settings, warnings } = read(CLUSTER)
  assert.deepEqual(warnings, [])
  assert.partialDeepStrictEqual(settings, {
    database: 'cassandra',
    cassandra_contact_points: ['127.0.0.1'],
    cassandra_port: 9042,
    cassandra_keyspace: 'meridian',
    cassandra_local_datacenter: 'dc1',
    cassandra_data_centers: null,
    cassandra_read_consistency: 'LOCAL_QUORUM',
    cassandra_write_consistency: 'QUORUM',
    cassandra_timeout: 5000,
    cassandra_ssl: false,
    cassandra_ssl_verify: true,
    db_update_frequency: 500,
  })
  assert.deepEqual(problems({ KONG_DATABASE: 'cassandra' }), [
    'KONG_DATABASE: expected cassandra_local_datacenter to be set with cassandra: the data center of this node',
    'KONG_DATABASE: expected keyring_file or keyring_env to be set with cassandra: one keyring for all nodes',
  ])
})

test("Kong's forms are read", () => {
  const { settings } = read({
    ...CLUSTER,
    KONG_CASSANDRA_CONTACT_POINTS: 'cassandra-1.example, 10.0.0.2, ::1',
    KONG_CASSANDRA_DATA_CENTERS: 'dc1:3, dc2:2',
    KONG_CASSANDRA_TIMEOUT: '2000',
    KONG_CASSANDRA_REFRESH_FREQUENCY: '0',
    KONG_CASSANDRA_SCHEMA_CONSENSUS_TIMEOUT: '30s',
    KONG_DB_UPDATE_FREQUENCY: '5',
  })
  assert.partialDeepStrictEqual(settings, {
    cassandra_contact_points: ['cassandra-1.example', '10.0.0.2', '::1'],
    cassandra_data_centers: { dc1: 3, dc2: 2 },
    cassandra_timeout: 2000,
    cassandra_refresh_frequency: 0,
    cassandra_schema_consensus_timeout: 30_000,
    db_update_frequency: 5000,
  })
})

test('the local data center may be written as two words', () => {
  const { settings } = read({ MERIDIAN_CASSANDRA_LOCAL_DATA_CENTER: 'dc2' })
  assert.equal(settings.cassandra_local_datacenter, 'dc2')
})

test('levels that the log can not do with are raised, and said', () => {
  const { settings, warnings } = read({
    ...CLUSTER,
    KONG_CASSANDRA_READ_CONSISTENCY: 'ONE',
    KONG_CASSANDRA_WRITE_CONSISTENCY: 'ALL',
  })
  assert.equal(settings.cassandra_read_consistency, 'LOCAL_QUORUM')
  assert.equal(settings.cassandra_write_consistency, 'EACH_QUORUM')
  assert.deepEqual(warnings, [
    'KONG_CASSANDRA_READ_CONSISTENCY: ONE is taken as LOCAL_QUORUM, because fewer replicas could lack what was already told to be committed',
    'KONG_CASSANDRA_WRITE_CONSISTENCY: ALL is taken as EACH_QUORUM, because one dead replica would stop everything',
  ])
})

test('addresses that nodes tell are mapped to where they are reached', () => {
  const { settings } = read({
    ...CLUSTER,
    MERIDIAN_CASSANDRA_ADDRESS_MAP: '10.0.0.1=203.0.113.1, 10.0.0.2=203.0.113.1:9043',
  })
  assert.deepEqual(settings.cassandra_address_map, { '10.0.0.1': '203.0.113.1', '10.0.0.2': '203.0.113.1:9043' })
})

test('what is wrong is told with its field', () => {
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [
      { KONG_CASSANDRA_CONTACT_POINTS: '10.0.0.1:9042' },
      "KONG_CASSANDRA_CONTACT_POINTS: expected a name or an IP address, got '10.0.0.1:9042'; the port belongs in cassandra_port",
    ],
    [
      { KONG_CASSANDRA_DATA_CENTERS: 'dc1:3,dc2' },
      "KONG_CASSANDRA_DATA_CENTERS: expected data centers with their number of replicas, such as dc1:3,dc2:3 (at 'dc2'), got 'dc1:3,dc2'",
    ],
    [
      { KONG_CASSANDRA_DATA_CENTERS: 'dc1:3,dc1:2' },
      "KONG_CASSANDRA_DATA_CENTERS: expected each data center once (at 'dc1:2'), got 'dc1:3,dc1:2'",
    ],
    [
      { KONG_CASSANDRA_DATA_CENTERS: 'dc2:3,dc3:3' },
      "KONG_CASSANDRA_LOCAL_DATACENTER: expected one of those in cassandra_data_centers (dc2, dc3), got 'dc1'",
    ],
    [{ KONG_CASSANDRA_USERNAME: 'meridian' }, 'KONG_CASSANDRA_USERNAME: expected cassandra_password to be set with it'],
    [{ KONG_CASSANDRA_PASSWORD: 's3cr3t' }, 'KONG_CASSANDRA_PASSWORD: expected cassandra_username to be set with it'],
    [
      { KONG_CASSANDRA_KEYSPACE: 'My"Keyspace' },
      `KONG_CASSANDRA_KEYSPACE: expected a name of small letters, digits and _, got 'My"Keyspace'`,
    ],
    [
      { KONG_CASSANDRA_READ_CONSISTENCY: 'MOST' },
      "KONG_CASSANDRA_READ_CONSISTENCY: expected one of LOCAL_QUORUM, QUORUM, EACH_QUORUM, got 'MOST'",
    ],
    [
      { MERIDIAN_CASSANDRA_ADDRESS_MAP: '10.0.0.1=node.example' },
      "MERIDIAN_CASSANDRA_ADDRESS_MAP: expected an IP address after the = (at '10.0.0.1=node.example'), got '10.0.0.1=node.example'",
    ],
  ]
  for (const [environment, message] of cases) assert.deepEqual(problems({ ...CLUSTER, ...environment }), [message])
})

test('the password is not shown', () => {
  const { texts } = read({ ...CLUSTER, KONG_CASSANDRA_USERNAME: 'meridian', KONG_CASSANDRA_PASSWORD: 's3cr3t' })
  assert.equal(presentSettings(texts)['cassandra_password'], '******')
})

test('what a whole copy on each node makes needless is accepted and listed', () => {
  const { withoutMeaning } = read({
    ...CLUSTER,
    KONG_CASSANDRA_LB_POLICY: 'RequestRoundRobin',
    KONG_CASSANDRA_REPL_STRATEGY: 'SimpleStrategy',
    KONG_DB_CACHE_TTL: '3600',
    KONG_DB_UPDATE_PROPAGATION: '2',
  })
  assert.deepEqual(withoutMeaning, [
    'KONG_CASSANDRA_LB_POLICY',
    'KONG_CASSANDRA_REPL_STRATEGY',
    'KONG_DB_CACHE_TTL',
    'KONG_DB_UPDATE_PROPAGATION',
  ])
})
