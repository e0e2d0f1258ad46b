import { defineEntity, t, type Static } from '#model/schema.ts'

/** An upstream API that routes lead to. */
export const services = defineEntity({
  kind: 'services',
  about: 'An upstream API that routes lead to.',
  endpoint_key: 'name',
  workspaceable: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    name: t.utf8Name(),
    retries: t.integer({ default: 5, between: [0, 32767] }),
    protocol: t.protocol({ required: true, default: 'http' }),
    host: t.host({ required: true }),
    port: t.port({ required: true, default: 80 }),
    path: t.path(),
    connect_timeout: t.integer({ default: 60000, between: [1, 2147483646] }),
    write_timeout: t.integer({ default: 60000, between: [1, 2147483646] }),
    read_timeout: t.integer({ default: 60000, between: [1, 2147483646] }),
    tags: t.tags(),
    client_certificate: t.foreign('certificates'),
    tls_verify: t.boolean(),
    tls_verify_depth: t.integer({ default: null, between: [0, 64] }),
    ca_certificates: t.array(t.string({ uuid: true })),
    enabled: t.boolean({ required: true, default: true }),
    proxy_protocol: t.string({
      one_of: ['v1', 'v2'],
      hidden_unless_set: true,
      description:
        'Connections to the service begin with the header of the PROXY protocol, which says who the client is. Not for gRPC, whose connections clients share. Not in Kong.',
    }),
  },
  shorthand_fields: {
    url: t.string({ maps: { translate: 'service_url' } }),
  },
  checks: [
    {
      rule: 'conditional',
      if_field: 'protocol',
      if_match: { one_of: ['tcp', 'tls', 'udp', 'grpc', 'grpcs'] },
      then_field: 'path',
      then_match: { eq: null },
    },
    {
      rule: 'conditional',
      if_field: 'protocol',
      if_match: { not_one_of: ['https', 'tls'] },
      then_field: 'client_certificate',
      then_match: { eq: null },
    },
    {
      rule: 'conditional',
      if_field: 'protocol',
      if_match: { not_one_of: ['https', 'tls'] },
      then_field: 'tls_verify',
      then_match: { eq: null },
    },
    {
      rule: 'conditional',
      if_field: 'protocol',
      if_match: { not_one_of: ['https', 'tls'] },
      then_field: 'tls_verify_depth',
      then_match: { eq: null },
    },
    {
      rule: 'conditional',
      if_field: 'protocol',
      if_match: { not_one_of: ['https', 'tls'] },
      then_field: 'ca_certificates',
      then_match: { eq: null },
    },
    {
      rule: 'conditional',
      if_field: 'protocol',
      if_match: { not_one_of: ['http', 'https', 'tcp', 'tls'] },
      then_field: 'proxy_protocol',
      then_match: { eq: null },
    },
  ],
})
export type Service = Static<typeof services.fields>
