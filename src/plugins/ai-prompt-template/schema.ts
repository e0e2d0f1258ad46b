import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `ai-prompt-template` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'ai-prompt-template',
  priority: 773,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    templates: t.array(
      t.record(
        {
          name: t.string({ required: true }),
          template: t.string({ required: true }),
        },
        { required: true },
      ),
      { required: true },
    ),
    allow_untemplated_requests: t.boolean({ required: true, default: true }),
    log_original_request: t.boolean({ required: true, default: false }),
    max_request_body_size: t.integer({ default: 8192, gt: 0 }),
  },
})
export type Config = ConfigOf<typeof schema>
