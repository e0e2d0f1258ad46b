import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `azure-functions` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'azure-functions',
  priority: 749,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['access'],
  config: {
    timeout: t.number({ default: 600000 }),
    keepalive: t.number({ default: 60000 }),
    https: t.boolean({ default: true }),
    https_verify: t.boolean({ default: false }),
    apikey: t.string({ referenceable: true, encrypted: true }),
    clientid: t.string({ referenceable: true, encrypted: true }),
    appname: t.string({ required: true }),
    hostdomain: t.string({ required: true, default: 'azurewebsites.net' }),
    routeprefix: t.string({ default: 'api' }),
    functionname: t.string({ required: true }),
  },
})
export type Config = ConfigOf<typeof schema>
