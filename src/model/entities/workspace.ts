import { defineEntity, t, type Static } from '#model/schema.ts'

/** A name space of entities. */
export const workspaces = defineEntity({
  kind: 'workspaces',
  about: 'A name space of entities.',
  endpoint_key: 'name',
  cache_key: ['name'],
  fields: {
    id: t.uuid(),
    name: t.utf8Name({
      required: true,
      not_one_of: [
        'workspaces',
        'consumers',
        'certificates',
        'services',
        'routes',
        'snis',
        'upstreams',
        'targets',
        'plugins',
        'tags',
        'ca_certificates',
        'clustering_data_planes',
        'parameters',
        'vaults',
        'key_sets',
        'keys',
        'filter_chains',
        'consumer_groups',
      ],
    }),
    comment: t.string(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    meta: t.record({ color: t.string(), thumbnail: t.string() }, { required: true }),
    config: t.record({ meta: t.string(), portal: t.boolean({ default: false }) }, { required: true }),
  },
})
export type Workspace = Static<typeof workspaces.fields>
