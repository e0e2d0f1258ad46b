import { defineEntity, t, type Static } from '#model/schema.ts'

/** A plugin with its configuration, on everything or on a route, service or consumer. */
export const plugins = defineEntity({
  kind: 'plugins',
  about: 'A plugin with its configuration, on everything or on a route, service or consumer.',
  endpoint_key: 'instance_name',
  cache_key: ['name', 'route', 'service', 'consumer'],
  workspaceable: true,
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
    config: t.record({}, { abstract: true }),
    protocols: t.protocols(),
    enabled: t.boolean({ required: true, default: true }),
    tags: t.tags(),
  },
})
export type Plugin = Static<typeof plugins.fields>
