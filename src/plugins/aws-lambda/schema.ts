import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `aws-lambda` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'aws-lambda',
  priority: 750,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access', 'header_filter'],
  checks: [
    { rule: 'mutually_required', fields: ['config.aws_key', 'config.aws_secret'] },
    {
      rule: 'custom',
      fields: ['config.proxy_url'],
      meaning: 'proxy_url scheme must be http',
      errors: ['proxy_url scheme must be http'],
    },
  ],
  config: {
    timeout: t.number({ required: true, default: 60000 }),
    keepalive: t.number({ required: true, default: 60000 }),
    aws_key: t.string({ referenceable: true, encrypted: true }),
    aws_secret: t.string({ referenceable: true, encrypted: true }),
    aws_assume_role_arn: t.string({ referenceable: true, encrypted: true }),
    aws_role_session_name: t.string({ default: 'kong' }),
    aws_sts_endpoint_url: t.url(),
    aws_region: t.host(),
    function_name: t.string({ required: false }),
    qualifier: t.string(),
    invocation_type: t.string({
      required: true,
      default: 'RequestResponse',
      one_of: ['RequestResponse', 'Event', 'DryRun'],
    }),
    log_type: t.string({ required: true, default: 'Tail', one_of: ['Tail', 'None'] }),
    host: t.host(),
    port: t.port({ default: 443 }),
    disable_https: t.boolean({ default: false }),
    unhandled_status: t.integer({ between: [100, 999] }),
    forward_request_method: t.boolean({ default: false }),
    forward_request_uri: t.boolean({ default: false }),
    forward_request_headers: t.boolean({ default: false }),
    forward_request_body: t.boolean({ default: false }),
    is_proxy_integration: t.boolean({ default: false }),
    awsgateway_compatible: t.boolean({ default: false }),
    proxy_url: t.url(),
    skip_large_bodies: t.boolean({ default: true }),
    base64_encode_body: t.boolean({ default: true }),
    aws_imds_protocol_version: t.string({ required: true, default: 'v1', one_of: ['v1', 'v2'] }),
    empty_arrays_mode: t.string({ required: true, default: 'legacy', one_of: ['legacy', 'correct'] }),
  },
})
export type Config = ConfigOf<typeof schema>
