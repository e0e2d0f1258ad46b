import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `hmac-auth` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'hmac-auth',
  priority: 1030,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    hide_credentials: t.boolean({ required: true, default: false }),
    clock_skew: t.number({ default: 300, gt: 0 }),
    anonymous: t.string(),
    validate_request_body: t.boolean({ required: true, default: false }),
    enforce_headers: t.array(t.string(), { default: [] }),
    algorithms: t.array(t.string({ one_of: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'] }), {
      default: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'],
    }),
    realm: t.string({ required: false }),
  },
})
export type Config = ConfigOf<typeof schema>
