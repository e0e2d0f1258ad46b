import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `acl` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'acl',
  priority: 950,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  checks: [
    { rule: 'only_one_of', fields: ['config.allow', 'config.deny'] },
    { rule: 'at_least_one_of', fields: ['config.allow', 'config.deny'] },
  ],
  config: {
    allow: t.array(t.string()),
    deny: t.array(t.string()),
    hide_groups_header: t.boolean({ required: true, default: false }),
    always_use_authenticated_groups: t.boolean({ required: true, default: false }),
  },
})
export type Config = ConfigOf<typeof schema>
