import { defineEntity, t, type Static } from '#model/schema.ts'

/** An address behind an upstream, with a weight. */
export const targets = defineEntity({
  kind: 'targets',
  about: 'An address behind an upstream, with a weight.',
  endpoint_key: 'target',
  cache_key: ['upstream', 'target'],
  workspaceable: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampMs(),
    updated_at: t.autoTimestampMs(),
    upstream: t.foreign('upstreams', { required: true, on_delete: 'cascade' }),
    target: t.string({ required: true, validator: 'target_address', format: 'host_and_port' }),
    weight: t.integer({ default: 100, between: [0, 65535] }),
    tags: t.tags(),
  },
})
export type Target = Static<typeof targets.fields>
