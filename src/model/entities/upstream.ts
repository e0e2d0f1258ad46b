import { defineEntity, t, type Static } from '#model/schema.ts'

/** A virtual hostname whose requests are balanced over targets. */
export const upstreams = defineEntity({
  kind: 'upstreams',
  about: 'A virtual hostname whose requests are balanced over targets.',
  endpoint_key: 'name',
  workspaceable: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    name: t.string({ required: true, unique: true, validator: 'upstream_name' }),
    updated_at: t.autoTimestampS(),
    algorithm: t.string({
      default: 'round-robin',
      one_of: ['consistent-hashing', 'least-connections', 'round-robin', 'latency'],
    }),
    hash_on: t.string({
      default: 'none',
      one_of: ['none', 'consumer', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture'],
    }),
    hash_fallback: t.string({
      default: 'none',
      one_of: ['none', 'consumer', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture'],
    }),
    hash_on_header: t.headerName(),
    hash_fallback_header: t.headerName(),
    hash_on_cookie: t.cookieName(),
    hash_on_cookie_path: t.path({ default: '/' }),
    hash_on_query_arg: t.string({ len_min: 1 }),
    hash_fallback_query_arg: t.string({ len_min: 1 }),
    hash_on_uri_capture: t.string({ len_min: 1 }),
    hash_fallback_uri_capture: t.string({ len_min: 1 }),
    // Kong's database refuses null here.
    slots: t.integer({ default: 10000, between: [10, 65536], ne: null }),
    healthchecks: t.record(
      {
        passive: t.record(
          {
            type: t.string({ default: 'http', one_of: ['tcp', 'http', 'https', 'grpc', 'grpcs'] }),
            healthy: t.record(
              {
                successes: t.integer({ default: 0, between: [0, 255] }),
                http_statuses: t.array(t.integer({ between: [100, 999] }), {
                  default: [
                    200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
                  ],
                }),
              },
              {
                required: true,
                default: {
                  http_statuses: [
                    200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
                  ],
                  successes: 0,
                },
              },
            ),
            unhealthy: t.record(
              {
                tcp_failures: t.integer({ default: 0, between: [0, 255] }),
                http_statuses: t.array(t.integer({ between: [100, 999] }), { default: [429, 500, 503] }),
                http_failures: t.integer({ default: 0, between: [0, 255] }),
                timeouts: t.integer({ default: 0, between: [0, 255] }),
              },
              {
                required: true,
                default: { http_failures: 0, http_statuses: [429, 500, 503], tcp_failures: 0, timeouts: 0 },
              },
            ),
          },
          {
            required: true,
            default: {
              healthy: {
                http_statuses: [
                  200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
                ],
                successes: 0,
              },
              type: 'http',
              unhealthy: { http_failures: 0, http_statuses: [429, 500, 503], tcp_failures: 0, timeouts: 0 },
            },
          },
        ),
        active: t.record(
          {
            headers: t.headers({ required: false }),
            concurrency: t.integer({ default: 10, between: [1, 2147483648] }),
            http_path: t.path({ default: '/' }),
            https_sni: t.sni({ required: false }),
            https_verify_certificate: t.boolean({ required: true, default: true }),
            healthy: t.record(
              {
                http_statuses: t.array(t.integer({ between: [100, 999] }), { default: [200, 302] }),
                successes: t.integer({ default: 0, between: [0, 255] }),
                interval: t.number({ default: 0, between: [0, 65535] }),
              },
              { required: true, default: { http_statuses: [200, 302], interval: 0, successes: 0 } },
            ),
            unhealthy: t.record(
              {
                http_statuses: t.array(t.integer({ between: [100, 999] }), {
                  default: [429, 404, 500, 501, 502, 503, 504, 505],
                }),
                tcp_failures: t.integer({ default: 0, between: [0, 255] }),
                timeouts: t.integer({ default: 0, between: [0, 255] }),
                http_failures: t.integer({ default: 0, between: [0, 255] }),
                interval: t.number({ default: 0, between: [0, 65535] }),
              },
              {
                required: true,
                default: {
                  http_failures: 0,
                  http_statuses: [429, 404, 500, 501, 502, 503, 504, 505],
                  interval: 0,
                  tcp_failures: 0,
                  timeouts: 0,
                },
              },
            ),
            timeout: t.number({ default: 1, between: [0, 65535] }),
            type: t.string({ default: 'http', one_of: ['tcp', 'http', 'https', 'grpc', 'grpcs'] }),
          },
          {
            required: true,
            default: {
              concurrency: 10,
              healthy: { http_statuses: [200, 302], interval: 0, successes: 0 },
              http_path: '/',
              https_verify_certificate: true,
              timeout: 1,
              type: 'http',
              unhealthy: {
                http_failures: 0,
                http_statuses: [429, 404, 500, 501, 502, 503, 504, 505],
                interval: 0,
                tcp_failures: 0,
                timeouts: 0,
              },
            },
          },
        ),
        threshold: t.number({ default: 0, between: [0, 100] }),
      },
      {
        required: true,
        default: {
          active: {
            concurrency: 10,
            healthy: { http_statuses: [200, 302], interval: 0, successes: 0 },
            http_path: '/',
            https_verify_certificate: true,
            timeout: 1,
            type: 'http',
            unhealthy: {
              http_failures: 0,
              http_statuses: [429, 404, 500, 501, 502, 503, 504, 505],
              interval: 0,
              tcp_failures: 0,
              timeouts: 0,
            },
          },
          passive: {
            healthy: {
              http_statuses: [
                200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
              ],
              successes: 0,
            },
            type: 'http',
            unhealthy: { http_failures: 0, http_statuses: [429, 500, 503], tcp_failures: 0, timeouts: 0 },
          },
        },
      },
    ),
    tags: t.tags(),
    host_header: t.hostWithOptionalPort(),
    client_certificate: t.foreign('certificates'),
    use_srv_name: t.boolean({ default: false }),
    resilience: t.record(
      {
        panic: t.boolean({
          default: false,
          description: 'When too few targets are healthy, send requests to all of them instead of answering 503.',
        }),
      },
      { required: false, hidden_unless_set: true, description: 'How requests are kept going while targets fail.' },
    ),
  },
  shorthand_fields: {
    // Choosing how to hash chooses the algorithm, and the other way round: older clients give only one of them.
    algorithm: t.string({ maps: { translate: 'upstream_algorithm' } }),
    hash_on: t.string({ maps: { translate: 'upstream_hash_on' } }),
  },
  checks: [
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^header$' },
      then_field: 'hash_on_header',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'hash_fallback',
      if_match: { match: '^header$' },
      then_field: 'hash_fallback_header',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^cookie$' },
      then_field: 'hash_on_cookie',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'hash_fallback',
      if_match: { match: '^cookie$' },
      then_field: 'hash_on_cookie',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^none$' },
      then_field: 'hash_fallback',
      then_match: { one_of: ['none'] },
    },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^cookie$' },
      then_field: 'hash_fallback',
      then_match: { one_of: ['none'] },
    },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^consumer$' },
      then_field: 'hash_fallback',
      then_match: { one_of: ['none', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture'] },
    },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^ip$' },
      then_field: 'hash_fallback',
      then_match: { one_of: ['none', 'consumer', 'header', 'cookie', 'path', 'query_arg', 'uri_capture'] },
    },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^path$' },
      then_field: 'hash_fallback',
      then_match: { one_of: ['none', 'consumer', 'header', 'cookie', 'query_arg', 'ip', 'uri_capture'] },
    },
    { rule: 'distinct', fields: ['hash_on_header', 'hash_fallback_header'] },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^query_arg$' },
      then_field: 'hash_on_query_arg',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'hash_fallback',
      if_match: { match: '^query_arg$' },
      then_field: 'hash_fallback_query_arg',
      then_match: { required: true },
    },
    { rule: 'distinct', fields: ['hash_on_query_arg', 'hash_fallback_query_arg'] },
    {
      rule: 'conditional',
      if_field: 'hash_on',
      if_match: { match: '^uri_capture$' },
      then_field: 'hash_on_uri_capture',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'hash_fallback',
      if_match: { match: '^uri_capture$' },
      then_field: 'hash_fallback_uri_capture',
      then_match: { required: true },
    },
    { rule: 'distinct', fields: ['hash_on_uri_capture', 'hash_fallback_uri_capture'] },
  ],
})
export type Upstream = Static<typeof upstreams.fields>
