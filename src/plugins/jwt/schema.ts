import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `jwt` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'jwt',
  priority: 1450,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  checks: [
    {
      rule: 'conditional',
      if_field: 'config.maximum_expiration',
      if_match: { gt: 0 },
      then_field: 'config.claims_to_verify',
      then_match: { contains: 'exp' },
    },
  ],
  config: {
    uri_param_names: t.set(t.string(), { default: ['jwt'] }),
    cookie_names: t.set(t.string(), { default: [] }),
    key_claim_name: t.string({ default: 'iss' }),
    secret_is_base64: t.boolean({ required: true, default: false }),
    claims_to_verify: t.set(t.string({ one_of: ['exp', 'nbf'] })),
    anonymous: t.string(),
    run_on_preflight: t.boolean({ required: true, default: true }),
    maximum_expiration: t.number({ default: 0, between: [0, 31536000] }),
    header_names: t.set(t.string(), { default: ['authorization'] }),
    realm: t.string({ required: false }),
  },
})
export type Config = ConfigOf<typeof schema>
