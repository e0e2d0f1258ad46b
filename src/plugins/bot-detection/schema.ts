import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `bot-detection` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'bot-detection',
  priority: 2500,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    allow: t.array(t.string({ is_regex: true }), { default: [] }),
    deny: t.array(t.string({ is_regex: true }), { default: [] }),
  },
})
export type Config = ConfigOf<typeof schema>
