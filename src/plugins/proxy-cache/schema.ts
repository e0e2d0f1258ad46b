import { redisFields } from '#model/redis-block.ts'
import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `proxy-cache` as Kong 3.9 has it; the strategy `redis`, its block and `stale_*` are ours. */
export const schema = definePluginSchema({
  name: 'proxy-cache',
  priority: 100,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['init_worker', 'access', 'header_filter', 'body_filter'],
  checks: [
    {
      rule: 'custom',
      name: 'shared_dictionary',
      fields: ['config'],
      meaning: 'strategy memory: the dictionary named in memory.dictionary_name must exist',
      errors: ["missing shared dict '<name>'"],
    },
  ],
  config: {
    response_code: t.array(t.integer({ between: [100, 900] }), {
      required: true,
      default: [200, 301, 404],
      len_min: 1,
    }),
    request_method: t.array(t.string({ one_of: ['HEAD', 'GET', 'POST', 'PATCH', 'PUT'] }), {
      required: true,
      default: ['GET', 'HEAD'],
    }),
    content_type: t.array(t.string(), { required: true, default: ['text/plain', 'application/json'] }),
    cache_ttl: t.integer({ default: 300, gt: 0 }),
    strategy: t.string({ required: true, one_of: ['memory', 'redis'] }),
    cache_control: t.boolean({ required: true, default: false }),
    ignore_uri_case: t.boolean({ required: false, default: false }),
    storage_ttl: t.integer(),
    memory: t.record(
      {
        dictionary_name: t.string({ required: true, default: 'kong_db_cache' }),
      },
      { required: true },
    ),
    redis: t.record(redisFields, { hidden_unless_set: true }),
    stale_while_revalidate: t.integer({ gt: -1, hidden_unless_set: true }),
    stale_if_error: t.integer({ gt: -1, hidden_unless_set: true }),
    vary_query_params: t.array(t.string()),
    vary_headers: t.array(t.string()),
    response_headers: t.record(
      {
        age: t.boolean({ default: true }),
        'X-Cache-Status': t.boolean({ default: true }),
        'X-Cache-Key': t.boolean({ default: true }),
      },
      { required: true },
    ),
  },
})
export type Config = ConfigOf<typeof schema>
