import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `ai-prompt-decorator` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'ai-prompt-decorator',
  priority: 772,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  checks: [{ rule: 'at_least_one_of', fields: ['config.prompts.prepend', 'config.prompts.append'] }],
  config: {
    prompts: t.record(
      {
        prepend: t.array(
          t.record(
            {
              role: t.string({ required: true, default: 'system', one_of: ['system', 'assistant', 'user'] }),
              content: t.string({ required: true, len_min: 1, len_max: 500 }),
            },
            { required: false },
          ),
          { required: false, len_max: 15 },
        ),
        append: t.array(
          t.record(
            {
              role: t.string({ required: true, default: 'system', one_of: ['system', 'assistant', 'user'] }),
              content: t.string({ required: true, len_min: 1, len_max: 500 }),
            },
            { required: false },
          ),
          { required: false, len_max: 15 },
        ),
      },
      { required: false },
    ),
    max_request_body_size: t.integer({ default: 8192, gt: 0 }),
    llm_format: t.string({ required: false, default: 'openai', one_of: ['openai', 'bedrock', 'gemini'] }),
  },
})
export type Config = ConfigOf<typeof schema>
