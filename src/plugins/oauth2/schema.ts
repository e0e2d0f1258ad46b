import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `oauth2` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'oauth2',
  priority: 1400,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    scopes: t.array(t.string()),
    mandatory_scope: t.boolean({ required: true, default: false }),
    provision_key: t.string({ required: true, auto: true, unique: true, encrypted: true }),
    token_expiration: t.number({ required: true, default: 7200 }),
    enable_authorization_code: t.boolean({ required: true, default: false }),
    enable_implicit_grant: t.boolean({ required: true, default: false }),
    enable_client_credentials: t.boolean({ required: true, default: false }),
    enable_password_grant: t.boolean({ required: true, default: false }),
    hide_credentials: t.boolean({ required: true, default: false }),
    accept_http_if_already_terminated: t.boolean({ required: true, default: false }),
    anonymous: t.string(),
    global_credentials: t.boolean({ required: true, default: false }),
    auth_header_name: t.string({ default: 'authorization' }),
    refresh_token_ttl: t.ttl({ required: true, default: 1209600 }),
    reuse_refresh_token: t.boolean({ required: true, default: false }),
    pkce: t.string({ required: false, default: 'lax', one_of: ['none', 'lax', 'strict'] }),
    realm: t.string({ required: false }),
  },
  config_checks: [
    {
      rule: 'conditional',
      if_field: 'mandatory_scope',
      if_match: { eq: true },
      then_field: 'scopes',
      then_match: { required: true },
    },
  ],
  config_rules: { validator: 'oauth2_flows' },
})
export type Config = ConfigOf<typeof schema>
