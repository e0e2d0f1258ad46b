import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** A document or schema that is longer takes seconds to read in every worker. */
const SCHEMA_BYTES_MAX = 1 << 20
const DOCUMENT_BYTES_MAX = 2 << 20

/** Configuration of `request-validator` as Kong documents it for its enterprise edition; what stands below the comment is ours. */
export const schema = definePluginSchema({
  name: 'request-validator',
  priority: 999,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    body_schema: t.string({ len_max: SCHEMA_BYTES_MAX }),
    allowed_content_types: t.set(t.string(), { default: ['application/json'] }),
    content_type_parameter_validation: t.boolean({ default: true }),
    version: t.string({
      required: true,
      default: 'kong',
      one_of: ['kong', 'draft4', 'draft6', 'draft7', 'draft201909', 'draft202012'],
    }),
    parameter_schema: t.array(
      t.record(
        {
          in: t.string({ required: true, one_of: ['query', 'header', 'path'] }),
          name: t.string({ required: true }),
          required: t.boolean({ required: true }),
          style: t.string({
            one_of: ['label', 'form', 'matrix', 'simple', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
          }),
          explode: t.boolean(),
          schema: t.string({ len_max: SCHEMA_BYTES_MAX }),
        },
        { checks: [{ rule: 'mutually_required', fields: ['style', 'explode', 'schema'] }] },
      ),
      { len_max: 200 },
    ),
    verbose_response: t.boolean({ required: true, default: false }),
    // Ours.
    openapi: t.string({ len_max: DOCUMENT_BYTES_MAX }),
    openapi_base_path: t.path(),
    openapi_unknown: t.string({ required: true, default: 'refuse', one_of: ['refuse', 'pass'] }),
    max_body_bytes: t.integer({ required: true, default: 1048576, between: [1, 16777216] }),
  },
  config_checks: [{ rule: 'at_least_one_of', fields: ['body_schema', 'parameter_schema', 'openapi'] }],
})
export type Config = ConfigOf<typeof schema>
