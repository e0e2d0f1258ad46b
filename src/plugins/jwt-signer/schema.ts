import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `jwt-signer`: ours, and much less than that of Kong's plugin of that name. */
export const schema = definePluginSchema({
  name: 'jwt-signer',
  priority: 802,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    key_set: t.string({ required: true, default: 'default', match: '^[A-Za-z0-9._-]+$' }),
    algorithm: t.string({ required: true, default: 'ES256', one_of: ['ES256', 'RS256', 'EdDSA'] }),
    private_keys: t.array(t.string({ referenceable: true, encrypted: true }), { len_max: 10 }),
    rotation_period: t.integer({ required: true, default: 86400, between: [60, 31536000] }),
    jwks_path: t.path(),
    issuer: t.string({ required: true, default: 'meridian' }),
    audience: t.array(t.string()),
    lifetime: t.integer({ required: true, default: 300, between: [5, 86400] }),
    header: t.string({ required: true, default: 'X-Identity-Token', match: '^[A-Za-z0-9-]+(:[Bb]earer)?$' }),
    claims: t.map(t.string(), t.string(), { required: true, default: {} }),
  },
})
export type Config = ConfigOf<typeof schema>
