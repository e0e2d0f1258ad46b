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
    locality: t.string({
      len_min: 1,
      hidden_unless_set: true,
      description:
        'Where it is, such as the name of a data center: nodes whose setting `locality` begins with that prefer it. Without it a tag `locality:NAME` counts, else it is near to every node. Not in Kong.',
    }),
  },
})
export type Target = Static<typeof targets.fields>
