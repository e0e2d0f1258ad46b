import { primitives as p, type Field, type Options } from './field.ts'

/** Kong's named field types, written once. A use may add or override rules: `t.host({ required: true })`. */
type Named<F, O> = Omit<F, keyof O> & O

/** Called without options it is the field as it stands; two signatures, because TypeScript would else infer the options from where the result goes. */
export interface NamedField<F> {
  (): F
  <const O extends Options>(options: O): Named<F, O>
}

function named<const F extends Field>(field: F, typedef: string): NamedField<F> {
  return (options?: Options) => ({ ...field, typedef, ...options })
}

const autoTimestampMs = named(p.number({ auto: true, timestamp: true }), 'auto_timestamp_ms')
const autoTimestampS = named(p.integer({ auto: true, timestamp: true }), 'auto_timestamp_s')
const capability = named(p.string(), 'capability')
const certificate = named(p.string({ validator: 'x509_pem' }), 'certificate')
const cidr = named(p.string({ validator: 'cidr_v4' }), 'cidr')
const cidrV4 = named(p.string({ validator: 'cidr_v4' }), 'cidr_v4')
const cookieName = named(p.string({ validator: 'http_token' }), 'cookie_name')
const ipOrCidr = named(p.string({ validator: 'ip_or_cidr' }), 'ip_or_cidr')
const port = named(p.integer({ between: [0, 65535] }), 'port')
const destinations = named(
  p.set(
    p.record(
      {
        ip: ipOrCidr(),
        port: port(),
      },
      { checks: [{ rule: 'at_least_one_of', fields: ['ip', 'port'] }] },
    ),
  ),
  'destinations',
)
const headerName = named(p.string({ validator: 'header_name' }), 'header_name')
const headers = named(p.map(headerName(), p.array(p.string())), 'headers')
const host = named(p.string({ validator: 'hostname' }), 'host')
const hostWithOptionalPort = named(p.string({ validator: 'hostname_optional_port' }), 'host_with_optional_port')
const hosts = named(
  p.array(
    p.string({
      match_all: [{ pattern: '^[^*]*\\*?[^*]*$', error: 'invalid wildcard: must have at most one wildcard' }],
      match_any: {
        patterns: ['^\\*\\.', '\\.\\*$', '^[^*]*$'],
        error: 'invalid wildcard: must be placed at leftmost or rightmost label',
      },
      validator: 'route_host',
    }),
  ),
  'hosts',
)
const httpMethod = named(p.string({ match: '^[A-Z]+$' }), 'http_method')
const ip = named(p.string({ validator: 'ip' }), 'ip')
const jwk = named(
  p.record(
    {
      issuer: p.string({ required: false }),
      kty: p.string({ required: false }),
      use: p.string({ required: false }),
      key_ops: p.array(p.string({ required: false }), { required: false }),
      alg: p.string({ required: false }),
      kid: p.string({ required: true }),
      x5u: p.string({ required: false }),
      x5c: p.array(p.string({ required: false }), { required: false }),
      x5t: p.string({ required: false }),
      'x5t#S256': p.string({ required: false }),
      k: p.string({ required: false }),
      x: p.string({ required: false }),
      y: p.string({ required: false }),
      crv: p.string({ required: false }),
      n: p.string({ required: false }),
      e: p.string({ required: false }),
      d: p.string({ required: false }),
      p: p.string({ required: false }),
      q: p.string({ required: false }),
      dp: p.string({ required: false }),
      dq: p.string({ required: false }),
      qi: p.string({ required: false }),
      oth: p.string({ required: false }),
      r: p.string({ required: false }),
      t: p.string({ required: false }),
    },
    { required: false, validator: 'jwk' },
  ),
  'jwk',
)
const key = named(p.string({ validator: 'private_key_pem' }), 'key')
const luaCode = named(
  p.map(p.string({ len_min: 1 }), p.string({ len_min: 1, validator: 'lua_expression' })),
  'lua_code',
)
/** Our own in place of `luaCode`: names of fields in the log record, and templates of their values. */
const logFields = named(
  p.map(p.string({ len_min: 1 }), p.string({ len_min: 0, validator: 'log_field_value' }), { hidden_unless_set: true }),
  'log_fields',
)
const methods = named(p.set(httpMethod()), 'methods')
const name = named(p.string({ unique: true, validator: 'name_ascii' }), 'name')
const noConsumer = named(p.foreign('consumers', { eq: null }), 'no_consumer')
const noDestinations = named(
  p.set(
    p.record(
      {
        ip: ipOrCidr(),
        port: port(),
      },
      { checks: [{ rule: 'at_least_one_of', fields: ['ip', 'port'] }] },
    ),
    { eq: null },
  ),
  'no_destinations',
)
const noHeaders = named(p.map(headerName(), p.array(p.string()), { eq: null }), 'no_headers')
const noHosts = named(
  p.array(
    p.string({
      match_all: [{ pattern: '^[^*]*\\*?[^*]*$', error: 'invalid wildcard: must have at most one wildcard' }],
      match_any: {
        patterns: ['^\\*\\.', '\\.\\*$', '^[^*]*$'],
        error: 'invalid wildcard: must be placed at leftmost or rightmost label',
      },
      validator: 'route_host',
    }),
    { eq: null },
  ),
  'no_hosts',
)
const noMethods = named(p.set(httpMethod(), { eq: null }), 'no_methods')
const routerPath = named(
  p.string({
    match_any: { patterns: ['^/', '^~/'], error: 'should start with: / (fixed path) or ~/ (regex path)' },
    match_none: [{ pattern: '//', error: 'must not have empty segments' }],
    validator: 'route_path',
  }),
  'router_path',
)
const noPaths = named(p.array(routerPath(), { eq: null }), 'no_paths')
const noRoute = named(p.foreign('routes', { eq: null }), 'no_route')
const noService = named(p.foreign('services', { eq: null }), 'no_service')
const noSources = named(
  p.set(
    p.record(
      {
        ip: ipOrCidr(),
        port: port(),
      },
      { checks: [{ rule: 'at_least_one_of', fields: ['ip', 'port'] }] },
    ),
    { eq: null },
  ),
  'no_sources',
)
const path = named(
  p.string({
    starts_with: '/',
    match_none: [{ pattern: '//', error: 'must not have empty segments' }],
    validator: 'uri_path',
  }),
  'path',
)
const pem = named(
  p.record(
    {
      private_key: p.string({ required: false, referenceable: true, encrypted: true }),
      public_key: p.string({ required: false, referenceable: true }),
    },
    {
      required: false,
      validator: 'pem_pair',
      checks: [{ rule: 'at_least_one_of', fields: ['private_key', 'public_key'] }],
    },
  ),
  'pem',
)
const propagation = named(
  p.record({
    extract: p.array(p.string({ one_of: ['w3c', 'datadog', 'b3', 'aws', 'jaeger', 'gcp', 'ot'] })),
    clear: p.array(p.string({ validator: 'header_name' })),
    inject: p.array(
      p.string({ one_of: ['preserve', 'w3c', 'datadog', 'b3', 'aws', 'b3-single', 'jaeger', 'gcp', 'ot'] }),
    ),
    default_format: p.string({
      required: true,
      one_of: ['w3c', 'datadog', 'b3', 'aws', 'b3-single', 'jaeger', 'gcp', 'ot'],
    }),
  }),
  'propagation',
)
const protocol = named(
  p.string({ one_of: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'] }),
  'protocol',
)
const protocols = named(p.set(protocol(), { required: true, default: ['grpc', 'grpcs', 'http', 'https'] }), 'protocols')
const protocolsHttp = named(
  p.set(p.string({ one_of: ['grpc', 'grpcs', 'http', 'https'] }), {
    required: true,
    default: ['grpc', 'grpcs', 'http', 'https'],
  }),
  'protocols_http',
)
const queue = named(
  p.record({
    max_batch_size: p.integer({ default: 1, between: [1, 1000000] }),
    max_coalescing_delay: p.number({ default: 1, between: [0, 3600] }),
    max_entries: p.integer({ default: 10000, between: [1, 1000000] }),
    max_bytes: p.integer(),
    max_retry_time: p.number({ default: 60 }),
    initial_retry_delay: p.number({ default: 0.01, between: [0.001, 1000000] }),
    max_retry_delay: p.number({ default: 60, between: [0.001, 1000000] }),
    concurrency_limit: p.integer({ default: 1, one_of: [-1, 1] }),
  }),
  'queue',
)
const redisHost = named(p.string({ validator: 'hostname' }), 'redis_host')
const redisServerName = named(p.string({ validator: 'sni_name' }), 'redis_server_name')
const routerPaths = named(p.array(routerPath()), 'router_paths')
const semanticVersion = named(
  p.string({
    match_any: {
      patterns: ['^[0-9]+[.0-9]*$', '^[0-9]+[.0-9]*-?.*$'],
      error: 'invalid version number: must be in format of X.Y.Z',
    },
    match_none: [{ pattern: '\\.\\.', error: 'must not have empty version segments' }],
  }),
  'semantic_version',
)
const sni = named(p.string({ validator: 'sni_name' }), 'sni')
const sources = named(
  p.set(
    p.record(
      {
        ip: ipOrCidr(),
        port: port(),
      },
      { checks: [{ rule: 'at_least_one_of', fields: ['ip', 'port'] }] },
    ),
  ),
  'sources',
)
const tag = named(p.string({ required: true, validator: 'tag' }), 'tag')
const tags = named(p.set(tag()), 'tags')
const timeout = named(p.integer({ between: [0, 2147483646] }), 'timeout')
const ttl = named(p.number({ between: [0, 100000000] }), 'ttl')
const url = named(p.string({ validator: 'url' }), 'url')
const utf8Name = named(p.string({ unique: true, validator: 'name_utf8' }), 'utf8_name')
const uuid = named(p.string({ auto: true, uuid: true }), 'uuid')
const wildcardHost = named(p.string({ validator: 'wildcard_hostname' }), 'wildcard_host')

export const vocabulary = {
  autoTimestampMs,
  autoTimestampS,
  capability,
  certificate,
  cidr,
  cidrV4,
  cookieName,
  destinations,
  headerName,
  headers,
  host,
  hostWithOptionalPort,
  hosts,
  httpMethod,
  ip,
  ipOrCidr,
  jwk,
  key,
  logFields,
  luaCode,
  methods,
  name,
  noConsumer,
  noDestinations,
  noHeaders,
  noHosts,
  noMethods,
  noPaths,
  noRoute,
  noService,
  noSources,
  path,
  pem,
  port,
  propagation,
  protocol,
  protocols,
  protocolsHttp,
  queue,
  redisHost,
  redisServerName,
  routerPath,
  routerPaths,
  semanticVersion,
  sni,
  sources,
  tag,
  tags,
  timeout,
  ttl,
  url,
  utf8Name,
  uuid,
  wildcardHost,
}
