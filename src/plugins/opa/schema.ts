import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'
import { decidingFields } from '../authorization/schema.ts'

/** Configuration of `opa` as Kong documents it for its enterprise edition; what stands below the comment is ours. */
export const schema = definePluginSchema({
  name: 'opa',
  priority: 920,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    opa_protocol: t.string({ required: true, default: 'http', one_of: ['http', 'https'] }),
    opa_host: t.host({ required: true, default: 'localhost' }),
    opa_port: t.port({ required: true, default: 8181 }),
    opa_path: t.path({ required: true }),
    include_service_in_opa_input: t.boolean({ required: true, default: false }),
    include_route_in_opa_input: t.boolean({ required: true, default: false }),
    include_consumer_in_opa_input: t.boolean({ required: true, default: false }),
    include_body_in_opa_input: t.boolean({ required: true, default: false }),
    include_parsed_json_body_in_opa_input: t.boolean({ required: true, default: false }),
    include_uri_captures_in_opa_input: t.boolean({ required: true, default: false }),
    ssl_verify: t.boolean({ required: true, default: true }),
    // Ours.
    input_headers: t.set(t.headerName()),
    ...decidingFields,
  },
})
export type Config = ConfigOf<typeof schema>
