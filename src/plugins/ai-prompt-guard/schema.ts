import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `ai-prompt-guard` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'ai-prompt-guard',
  priority: 771,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  checks: [
    { rule: 'at_least_one_of', fields: ['config.allow_patterns', 'config.deny_patterns'] },
    {
      rule: 'conditional',
      if_field: 'config.match_all_roles',
      if_match: { eq: true },
      then_field: 'config.allow_all_conversation_history',
      then_match: { eq: false },
    },
  ],
  config: {
    allow_patterns: t.array(t.string({ len_min: 1, len_max: 500 }), { required: false, len_max: 10 }),
    deny_patterns: t.array(t.string({ len_min: 1, len_max: 500 }), { required: false, len_max: 10 }),
    allow_all_conversation_history: t.boolean({ required: true, default: false }),
    max_request_body_size: t.integer({ default: 8192, gt: 0 }),
    match_all_roles: t.boolean({ required: true, default: false }),
    llm_format: t.string({ required: false, default: 'openai', one_of: ['openai', 'bedrock', 'gemini'] }),
  },
})
export type Config = ConfigOf<typeof schema>
