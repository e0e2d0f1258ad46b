import { defineEntity, t, type Static } from '#model/schema.ts'

/** A plugin with its configuration, on everything or on a route, service, consumer or consumer group. */
export const plugins = defineEntity({
  kind: 'plugins',
  about: 'A plugin with its configuration, on everything or on a route, service, consumer or consumer group.',
  endpoint_key: 'instance_name',
  cache_key: ['name', 'route', 'service', 'consumer', 'consumer_group'],
  workspaceable: true,
  subschemas: 'plugins',
  subschema_key: 'name',
  subschema_error: "plugin '%s' not enabled; add it to the 'plugins' configuration property",
  fields: {
    id: t.uuid(),
    name: t.string({ required: true }),
    instance_name: t.utf8Name(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    route: t.foreign('routes', { default: null, on_delete: 'cascade' }),
    service: t.foreign('services', { default: null, on_delete: 'cascade' }),
    consumer: t.foreign('consumers', { default: null, on_delete: 'cascade' }),
    consumer_group: t.foreign('consumer_groups', { default: null, on_delete: 'cascade', hidden_unless_set: true }),
    config: t.record({}, { abstract: true }),
    protocols: t.protocols(),
    enabled: t.boolean({ required: true, default: true }),
    tags: t.tags(),
    ordering: t.record(
      {
        before: t.map(t.string({ one_of: ['access'] }), t.array(t.string())),
        after: t.map(t.string({ one_of: ['access'] }), t.array(t.string())),
      },
      {
        required: false,
        hidden_unless_set: true,
        description:
          'Plugins before or after which this one runs, by phase, instead of the place that its priority gives it.',
      },
    ),
  },
})
export type Plugin = Static<typeof plugins.fields>
