import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'
import { FIELDS } from './fields.ts'

/** A value of a header: printable ASCII, since browsers read nothing else there. */
const value = () => t.string({ match: '^[\\x21-\\x7e](?:[\\x20-\\x7e]*[\\x21-\\x7e])?$', len_max: 8192 })

/** Configuration of `security-headers`: ours, Kong has no such plugin. */
export const schema = definePluginSchema({
  name: 'security-headers',
  priority: 0,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['header_filter'],
  config: {
    preset: t.string({ required: true, default: 'api', one_of: ['none', 'api', 'web', 'isolated'] }),
    omit: t.set(t.string({ one_of: FIELDS }), { required: true, default: [] }),
    existing: t.string({ required: true, default: 'override', one_of: ['override', 'keep'] }),
    report_only: t.set(
      t.string({
        one_of: ['content_security_policy', 'cross_origin_opener_policy', 'cross_origin_embedder_policy'],
      }),
      { required: true, default: [] },
    ),
    strict_transport_security: t.record(
      {
        max_age: t.integer({ required: true, default: 31536000, between: [0, 315360000] }),
        include_subdomains: t.boolean({ required: true, default: false }),
        preload: t.boolean({ required: true, default: false }),
      },
      { required: false },
    ),
    content_security_policy: value(),
    content_type_options: t.string({ one_of: ['nosniff'] }),
    frame_options: t.string({ one_of: ['DENY', 'SAMEORIGIN'] }),
    referrer_policy: value(),
    permissions_policy: value(),
    cross_origin_opener_policy: t.string({
      one_of: ['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none'],
    }),
    cross_origin_embedder_policy: t.string({ one_of: ['require-corp', 'credentialless', 'unsafe-none'] }),
    cross_origin_resource_policy: t.string({ one_of: ['same-origin', 'same-site', 'cross-origin'] }),
    reporting_endpoints: t.map(t.string({ match: '^[a-z*][a-z0-9_.*-]*$' }), t.url()),
    remove: t.set(t.headerName(), {
      required: true,
      default: ['Server', 'X-Powered-By', 'X-AspNet-Version', 'X-AspNetMvc-Version'],
    }),
  },
})
export type Config = ConfigOf<typeof schema>
