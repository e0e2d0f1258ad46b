import { defineEntity, t, type Static } from '#model/schema.ts'

/** A name space of entities. */
export const workspaces = defineEntity({
  kind: 'workspaces',
  about: 'A name space of entities.',
  endpoint_key: 'name',
  cache_key: ['name'],
  generate_admin_api: false,
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
      ],
    }),
    comment: t.string(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    meta: t.record({}, { required: true }),
    config: t.record({}, { required: true }),
  },
})
export type Workspace = Static<typeof workspaces.fields>
