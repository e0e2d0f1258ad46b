import { defineEntity, t, type Static } from '#model/schema.ts'

/** Consumers that share plugins. */
export const consumerGroups = defineEntity({
  kind: 'consumer_groups',
  about: 'Consumers that share plugins.',
  endpoint_key: 'name',
  workspaceable: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    name: t.utf8Name({ required: true }),
    tags: t.tags(),
  },
})
export type ConsumerGroup = Static<typeof consumerGroups.fields>

/** That a consumer belongs to a group; has endpoints of its own below `/consumer_groups` and `/consumers`. */
export const consumerGroupConsumers = defineEntity({
  kind: 'consumer_group_consumers',
  about: 'That a consumer belongs to a group.',
  cache_key: ['consumer_group', 'consumer'],
  workspaceable: true,
  generate_admin_api: false,
  on_demand: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    consumer_group: t.foreign('consumer_groups', { required: true, on_delete: 'cascade' }),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
  },
})
export type ConsumerGroupConsumer = Static<typeof consumerGroupConsumers.fields>
