import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { settings as definitions } from '../settings.ts'
import { changedSettings } from './changes.ts'
import { presentSettings } from './present.ts'
import { readSettings, type ReadSettings, type SettingsInput } from './read.ts'
import { sampleFile } from './reference.ts'

const NOTHING: SettingsInput = { file: null, environment: {}, overrides: {}, workingFolder: '/srv', cores: 4 }
const FILE = 'meridian.conf'

function read(input: Partial<SettingsInput>): ReadSettings {
  const result = readSettings({ ...NOTHING, ...input })
  if (!result.ok) assert.fail(result.problems.join('\n'))
  return result
}

function problemsOf(input: Partial<SettingsInput>): readonly string[] {
  const result = readSettings({ ...NOTHING, ...input })
  if (result.ok) assert.fail('expected problems, got settings')
  return result.problems
}

const fromFile = (text: string) => ({ file: { path: FILE, text } })

test('without anything given the defaults hold', () => {
  const { settings, warnings, withoutMeaning } = read({})
  assert.deepEqual(
    settings.proxy_listen.map(({ address, ssl }) => [address, ssl]),
    [
      ['0.0.0.0:8000', false],
      ['0.0.0.0:8443', true],
    ],
  )
  assert.partialDeepStrictEqual(settings, {
    prefix: '/srv/.meridian',
    database: 'sqlite',
    workers: 4,
    log_level: 'notice',
    upstream_keepalive_idle_timeout: 60_000,
    declarative_config: null,
  })
  assert.deepEqual([warnings, withoutMeaning], [[], []])
})

test('the environment wins over the file, ours over Kong’s, the command line over all', () => {
  const file = fromFile('log_level = debug\nworkers = 1\nclient_max_headers = 50\nkeepalive_requests = 7\n')
  const environment = {
    KONG_WORKERS: '2',
    KONG_CLIENT_MAX_HEADERS: '60',
    MERIDIAN_CLIENT_MAX_HEADERS: '70',
    MERIDIAN_LOG_LEVEL: 'warn',
  }
  const { settings } = read({ ...file, environment, overrides: { log_level: 'error' } })
  assert.partialDeepStrictEqual(settings, {
    keepalive_requests: 7,
    workers: 2,
    client_max_headers: 70,
    log_level: 'error',
  })
})

test('an empty variable counts as not given', () => {
  assert.equal(read({ ...fromFile('workers = 3'), environment: { MERIDIAN_WORKERS: '' } }).settings.workers, 3)
})

test('names of nginx directives are aliases', () => {
  const environment = {
    KONG_NGINX_WORKER_PROCESSES: '3',
    KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE: '8m',
    KONG_NGINX_PROXY_REAL_IP_HEADER: 'X-Forwarded-For',
    KONG_NGINX_HTTP_LARGE_CLIENT_HEADER_BUFFERS: '8 16k',
    KONG_NGINX_HTTP_KEEPALIVE_TIMEOUT: '30s 20s',
    KONG_NGINX_EVENTS_WORKER_CONNECTIONS: 'auto',
  }
  const { settings, withoutMeaning } = read({ environment })
  assert.partialDeepStrictEqual(settings, {
    workers: 3,
    client_max_body_size: 8 * 1024 ** 2,
    real_ip_header: 'X-Forwarded-For',
    large_client_header_buffers: { lineBytes: 16_384, totalBytes: 131_072 },
    keepalive_timeout: 30_000,
    worker_connections: 16_384,
  })
  assert.deepEqual(withoutMeaning, [])
})

test('a setting wins over its alias in the same place, and a difference is told', () => {
  const { settings, warnings } = read(fromFile('nginx_http_client_max_body_size = 1m\nclient_max_body_size = 2m\n'))
  assert.equal(settings.client_max_body_size, 2 * 1024 ** 2)
  assert.deepEqual(warnings, [
    'nginx_http_client_max_body_size and client_max_body_size are one setting with different values; client_max_body_size counts',
  ])
})

test('every mistake of a file is told at once, with its line and what was expected', () => {
  const text =
    'proxy_lsiten = off\nworkers = zero\nwhat is this\n\nlog_level = loud # tea\nworkers = 2\nKONG_PREFIX = /x\n'
  assert.deepEqual(problemsOf(fromFile(text)), [
    "meridian.conf:1: unknown key 'proxy_lsiten' (did you mean proxy_listen?)",
    "meridian.conf:2: workers: expected a whole number 1..256, got 'zero'",
    "meridian.conf:3: expected 'key = value'",
    "meridian.conf:5: log_level: expected one of debug, info, notice, warn, error, crit, alert, emerg, got 'loud'",
    'meridian.conf:6: workers: expected once, but line 2 has it too',
    "meridian.conf:7: unknown key 'KONG_PREFIX' (did you mean prefix?)",
  ])
})

test('unknown variables are one warning that lists them, without service links', () => {
  const environment = {
    MERIDIAN_PROXY_LISTN: 'off',
    KONG_TEA: 'x',
    MERIDIAN_PORT: 'tcp://10.0.0.1:8000',
    MERIDIAN_PORT_8000_TCP: 'tcp://10.0.0.1:8000',
    MERIDIAN_PORT_8000_TCP_ADDR: '10.0.0.1',
    MERIDIAN_ADMIN_SERVICE_HOST: '10.0.0.1',
    KONG_SERVICE_PORT_HTTP: '8000',
    MERIDIAN_PROXY_PORT: '9000',
    MERIDIAN_CONF: '/etc/meridian.conf',
    HOME: '/root',
  }
  assert.deepEqual(read({ environment }).warnings, [
    'unknown settings in the environment: KONG_TEA, MERIDIAN_PROXY_LISTN (did you mean MERIDIAN_PROXY_LISTEN?), MERIDIAN_PROXY_PORT',
  ])
})

test('the variable that holds the keyring is not taken for a setting', () => {
  const environment = { MERIDIAN_KEYRING_ENV: 'MERIDIAN_KEYRING', MERIDIAN_KEYRING: 'a:c2VjcmV0' }
  assert.deepEqual(read({ environment }).warnings, [])
})

test('settings of Kong without meaning are accepted and listed', () => {
  const environment = {
    KONG_PG_HOST: 'db',
    KONG_NGINX_DAEMON: 'off',
    KONG_LUA_PACKAGE_PATH: './?.lua',
    KONG_NGINX_HTTP_GZIP: 'on',
  }
  const { warnings, withoutMeaning } = read({ environment, ...fromFile('anonymous_reports = off\n') })
  assert.deepEqual(warnings, [])
  assert.deepEqual(withoutMeaning, [
    'KONG_LUA_PACKAGE_PATH',
    'KONG_NGINX_DAEMON',
    'KONG_NGINX_HTTP_GZIP',
    'KONG_PG_HOST',
    'anonymous_reports',
  ])
})

test('a store that is not available is refused with what to do', () => {
  const [postgres] = problemsOf({ environment: { KONG_DATABASE: 'postgres' } })
  assert.match(
    postgres!,
    /^KONG_DATABASE: expected one of sqlite, cassandra, off, got 'postgres'; .*kong config db_export.*deck gateway sync/,
  )
  assert.match(
    problemsOf({ environment: { MERIDIAN_DATABASE: 'peer' } })[0]!,
    /sqlite, cassandra, off, got 'peer'; .*not available yet/,
  )
  assert.match(
    problemsOf({ environment: { KONG_ROUTER_FLAVOR: 'expressions' } })[0]!,
    /'expressions'; .*not available yet/,
  )
})

test('a secret is never repeated in a message', () => {
  const environment = { MERIDIAN_SSL_CERT_KEY: '/tmp/\0hunter2' }
  const [problem] = problemsOf({ environment })
  assert.match(problem!, /^MERIDIAN_SSL_CERT_KEY: expected .*, got something else$/)
})

test('a value in a message is cut and can not forge lines', () => {
  const [problem] = problemsOf({ environment: { MERIDIAN_WORKERS: `1\n${'x'.repeat(500)}` } })
  assert.ok(!problem!.includes('\n'))
  assert.ok(problem!.length < 250)
})

test('a value may be a reference to another variable', () => {
  const environment = {
    MERIDIAN_DECLARATIVE_CONFIG_STRING: '{vault://env/gateway-config}',
    GATEWAY_CONFIG: '_format_version: "3.0"',
    MERIDIAN_DATABASE: 'off',
    MERIDIAN_LOG_LEVEL: '{vault://env/options/level}',
    OPTIONS: '{"level":"debug"}',
  }
  const { settings } = read({ environment })
  assert.equal(settings.declarative_config_string, '_format_version: "3.0"')
  assert.equal(settings.log_level, 'debug')
})

test('a reference that leads nowhere names what is missing', () => {
  assert.deepEqual(problemsOf({ environment: { MERIDIAN_LOG_LEVEL: '{vault://env/nothing}' } }), [
    'MERIDIAN_LOG_LEVEL: {vault://env/nothing}: the environment variable NOTHING is not set',
  ])
  assert.match(problemsOf({ environment: { MERIDIAN_LOG_LEVEL: '{vault://hcv/x}' } })[0]!, /environment only/)
  assert.match(
    problemsOf({ environment: { MERIDIAN_LOG_LEVEL: '{vault://env/a/b}', A: 'text' } })[0]!,
    /the value is not JSON$/,
  )
})

test('what a reference leads to is never shown: not in a message, and not among the settings', () => {
  const environment = {
    MERIDIAN_WORKERS: '{vault://env/secret}',
    MERIDIAN_LOG_LEVEL: '{vault://env/secret}',
    MERIDIAN_PROXY_LISTEN: '127.0.0.1:8000, {vault://env/secret}',
    MERIDIAN_TRUSTED_IPS: '{vault://env/list}',
    SECRET: 'swordfish',
    LIST: '10.0.0.0/8, swordfish',
  }
  const problems = problemsOf({ environment })
  assert.equal(problems.length, 4)
  assert.ok(
    problems.includes(
      'MERIDIAN_LOG_LEVEL: expected one of debug, info, notice, warn, error, crit, alert, emerg, got what {vault://env/secret} leads to',
    ),
    problems.join(),
  )
  assert.doesNotMatch(problems.join(), /swordfish/)

  const { texts, settings } = read({ environment: { MERIDIAN_SSL_SESSION_TICKETS: '{vault://env/flag}', FLAG: 'off' } })
  assert.equal(settings.ssl_session_tickets, false)
  assert.equal(presentSettings(texts)['ssl_session_tickets'], '{vault://env/flag}')
})

test('a declarative file without database = off is refused, not ignored', () => {
  assert.deepEqual(problemsOf(fromFile('declarative_config = kong.yml')), [
    'meridian.conf:1: declarative_config: only read with database = off, but database is sqlite when nothing is set',
  ])
  assert.equal(
    read(fromFile('declarative_config = kong.yml\ndatabase = off')).settings.declarative_config,
    '/srv/kong.yml',
  )
})

test('listeners that can not stand side by side are refused', () => {
  assert.deepEqual(problemsOf(fromFile('admin_listen = 127.0.0.1:8000')), [
    'meridian.conf:1: admin_listen: 127.0.0.1:8000 can not be used beside 0.0.0.0:8000 of proxy_listen',
  ])
  assert.equal(problemsOf(fromFile('proxy_listen = 127.0.0.1:9000, 127.0.0.1:9000 ssl')).length, 1)
})

test('an Admin API open to other machines without any credential is a warning', () => {
  assert.match(
    read({ environment: { KONG_ADMIN_LISTEN: '0.0.0.0:8001' } }).warnings[0]!,
    /^KONG_ADMIN_LISTEN: 0\.0\.0\.0:8001 .* admin_token_file/,
  )
  assert.deepEqual(read(fromFile('admin_listen = 0.0.0.0:8001\nadmin_token_file = tokens')).warnings, [])
})

test('certificates and keys come in pairs', () => {
  assert.match(
    problemsOf(fromFile('ssl_cert = a.pem, b.pem\nssl_cert_key = a.key'))[0]!,
    /^meridian\.conf:2: ssl_cert_key: expected as many keys .* 2, got 1$/,
  )
})

test('ciphers of which OpenSSL knows none are refused, others are passed over', () => {
  assert.match(
    problemsOf(fromFile('ssl_cipher_suite = custom\nssl_ciphers = NONE-SUCH'))[0]!,
    /^meridian\.conf:2: ssl_ciphers: expected names of ciphers .*, got NONE-SUCH$/,
  )
  const ciphers = 'NONE-SUCH:ECDHE-RSA-AES128-GCM-SHA256'
  assert.equal(read(fromFile(`ssl_cipher_suite = custom\nssl_ciphers = ${ciphers}`)).settings.ssl_ciphers, ciphers)
})

test('relative paths start at the working folder, those of logs at the prefix', () => {
  const { settings } = read(
    fromFile(
      'prefix = /var/lib/meridian\nssl_cert = tls/a.pem\nssl_cert_key = /etc/a.key\nproxy_access_log = a.log json',
    ),
  )
  assert.deepEqual(settings.ssl_cert, [{ path: '/srv/tls/a.pem' }])
  assert.deepEqual(settings.ssl_cert_key, [{ path: '/etc/a.key' }])
  assert.deepEqual(settings.proxy_access_log, { to: 'file', path: '/var/lib/meridian/a.log', format: 'json' })
})

test('settings are frozen through and through, and can be posted to a thread', () => {
  const { settings } = read({})
  assert.ok(
    Object.isFrozen(settings) && Object.isFrozen(settings.proxy_listen) && Object.isFrozen(settings.proxy_listen[0]),
  )
  assert.deepEqual(structuredClone(settings), settings)
})

test('the sample file with every comment sign removed says what holds by default', () => {
  const text = sampleFile().replaceAll(/^#([a-z0-9_]+ =)/gm, '$1')
  assert.equal(text.match(/^[a-z0-9_]+ =/gm)?.length, definitions.size)
  assert.deepEqual(read(fromFile(text)).settings, read({}).settings)
})

test('the Admin API sees Kong’s types, and no secret', () => {
  const environment = { MERIDIAN_SSL_CERT: 'a.pem', MERIDIAN_SSL_CERT_KEY: 'a.key', MERIDIAN_KEEPALIVE_TIMEOUT: '5s' }
  const shown = presentSettings(read({ environment }).texts)
  assert.partialDeepStrictEqual(shown, {
    database: 'sqlite',
    real_ip_recursive: false,
    upstream_keepalive_pool_size: 512,
    keepalive_timeout: '5s',
    status_listen: ['127.0.0.1:8007'],
    stream_listen: ['off'],
    ssl_cert: ['a.pem'],
    ssl_cert_key: '******',
  })
  assert.ok(!('declarative_config' in shown))
})

test('a reload tells apart what it applies from what waits for the next start', () => {
  const before = read(fromFile('log_level = info\nworkers = 2\nkeepalive_requests = 5')).texts
  const after = read(fromFile('log_level = debug\nworkers = 3\nkeepalive_requests = 5')).texts
  assert.deepEqual(changedSettings(before, after), { applied: ['log_level'], waiting: ['workers'] })
  assert.deepEqual(changedSettings(before, before), { applied: [], waiting: [] })
})

test('an override that is no setting is a problem', () => {
  assert.deepEqual(problemsOf({ overrides: { wrokers: '2' } }), [
    "command line: unknown key 'wrokers' (did you mean workers?)",
  ])
})

test('any text is settings or problems, never an exception', () => {
  const key = fc.oneof(fc.constantFrom(...definitions.keys()), fc.string({ maxLength: 12 }))
  const line = fc.oneof(
    fc.tuple(key, fc.string({ maxLength: 30 })).map(([name, value]) => `${name} = ${value}`),
    fc.string(),
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const result = readSettings({ ...NOTHING, ...fromFile(lines.join('\n')) })
      if (!result.ok) assert.ok(result.problems.length > 0)
    }),
  )
})

const kongFile = path.resolve(import.meta.dirname, '../../../../shared/kong-compat/configuration.json')

test(
  'every setting of Kong is a setting, an alias, or listed as without meaning',
  { skip: !existsSync(kongFile) },
  () => {
    const facts = JSON.parse(readFileSync(kongFile, 'utf8')) as Record<string, Record<string, object>>
    const old = facts['2.8.5']!
    const tables = [
      facts['properties']!,
      facts['other_properties']!,
      old['cassandra']!,
      old['cluster_and_store']!,
      old['other_only_in_2.8.5']!,
    ]
    const keys = tables
      .flatMap((table) => Object.keys(table))
      .flatMap((key) => key.split(', '))
      .map((key) => key.replace('<name>', 'x').replace('*', 'x'))
    assert.ok(keys.length > 230)
    for (const key of keys) {
      // Empty, so that only whether the key is known is asked.
      const result = readSettings({ ...NOTHING, ...fromFile(`${key} =`) })
      assert.ok(result.ok, result.ok ? '' : result.problems.join('\n'))
    }
  },
)

test('the PROXY protocol is for connections of clients, and its address for listeners that speak it', () => {
  const text = 'stream_listen = 127.0.0.1:9001 udp proxy_protocol\nadmin_listen = 127.0.0.1:9002 proxy_protocol\n'
  assert.deepEqual(problemsOf(fromFile(text)), [
    "meridian.conf:1: stream_listen: proxy_protocol is for connections, not for udp (at '127.0.0.1:9001')",
    "meridian.conf:2: admin_listen: proxy_protocol is for proxy_listen and stream_listen only (at '127.0.0.1:9002')",
  ])
  const header = 'real_ip_header = proxy_protocol\n'
  assert.deepEqual(read(fromFile(`${header}proxy_listen = 127.0.0.1:9000 proxy_protocol\n`)).warnings, [])
  assert.deepEqual(read(fromFile(header)).warnings, [
    'meridian.conf:1: real_ip_header: no address of proxy_listen has the flag proxy_protocol',
  ])
})
