import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `ai-response-transformer` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'ai-response-transformer',
  priority: 768,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  checks: [
    {
      rule: 'conditional',
      if_field: 'config.llm.route_type',
      if_match: { not_one_of: ['llm/v1/chat'] },
      then_field: 'config.llm.route_type',
      then_match: { eq: 'llm/v1/chat' },
      error: "'config.llm.route_type' must be 'llm/v1/chat' for AI transformer plugins",
    },
    { rule: 'mutually_required', fields: ['config.http_proxy_host', 'config.http_proxy_port'] },
    { rule: 'mutually_required', fields: ['config.https_proxy_host', 'config.https_proxy_port'] },
  ],
  config: {
    prompt: t.string({ required: true }),
    transformation_extract_pattern: t.string({ required: false }),
    parse_llm_response_json_instructions: t.boolean({ required: true, default: false }),
    http_timeout: t.integer({ required: true, default: 60000 }),
    https_verify: t.boolean({ required: true, default: true }),
    max_request_body_size: t.integer({ default: 8192, gt: 0 }),
    http_proxy_host: t.host(),
    http_proxy_port: t.port(),
    https_proxy_host: t.host(),
    https_proxy_port: t.port(),
    llm: t.record(
      {
        route_type: t.string({ required: true, one_of: ['llm/v1/chat', 'llm/v1/completions', 'preserve'] }),
        auth: t.record(
          {
            header_name: t.string({ required: false, referenceable: true }),
            header_value: t.string({ required: false, referenceable: true, encrypted: true }),
            param_name: t.string({ required: false, referenceable: true }),
            param_value: t.string({ required: false, referenceable: true, encrypted: true }),
            param_location: t.string({ required: false, one_of: ['query', 'body'] }),
            gcp_use_service_account: t.boolean({ required: false, default: false }),
            gcp_service_account_json: t.string({ required: false, referenceable: true, encrypted: true }),
            aws_access_key_id: t.string({ required: false, referenceable: true, encrypted: true }),
            aws_secret_access_key: t.string({ required: false, referenceable: true, encrypted: true }),
            allow_override: t.boolean({ required: false, default: false }),
          },
          { required: false },
        ),
        model: t.record(
          {
            provider: t.string({
              required: true,
              one_of: [
                'openai',
                'azure',
                'anthropic',
                'cohere',
                'mistral',
                'llama2',
                'gemini',
                'bedrock',
                'huggingface',
              ],
            }),
            name: t.string({ required: false }),
            options: t.record(
              {
                max_tokens: t.integer({ required: false }),
                input_cost: t.number({ required: false, gt: 0 }),
                output_cost: t.number({ required: false, gt: 0 }),
                temperature: t.number({ required: false, between: [0, 5] }),
                top_p: t.number({ required: false, between: [0, 1] }),
                top_k: t.integer({ required: false, between: [0, 500] }),
                anthropic_version: t.string({ required: false }),
                azure_instance: t.string({ required: false }),
                azure_api_version: t.string({ required: false, default: '2023-05-15' }),
                azure_deployment_id: t.string({ required: false }),
                llama2_format: t.string({ required: false, one_of: ['raw', 'openai', 'ollama'] }),
                mistral_format: t.string({ required: false, one_of: ['openai', 'ollama'] }),
                upstream_url: t.url({ required: false }),
                upstream_path: t.string({ required: false }),
                gemini: t.record(
                  {
                    api_endpoint: t.string({ required: false }),
                    project_id: t.string({ required: false }),
                    location_id: t.string({ required: false }),
                  },
                  {
                    required: false,
                    checks: [{ rule: 'mutually_required', fields: ['api_endpoint', 'project_id', 'location_id'] }],
                  },
                ),
                bedrock: t.record(
                  {
                    aws_region: t.string({ required: false }),
                  },
                  { required: false },
                ),
                huggingface: t.record(
                  {
                    use_cache: t.boolean({ required: false }),
                    wait_for_model: t.boolean({ required: false }),
                  },
                  { required: false },
                ),
              },
              { required: false },
            ),
          },
          { required: true },
        ),
        logging: t.record(
          {
            log_statistics: t.boolean({ required: true, default: false }),
            log_payloads: t.boolean({ required: true, default: false }),
          },
          { required: true },
        ),
      },
      {
        required: true,
        checks: [
          {
            rule: 'conditional',
            if_field: 'model.provider',
            if_match: { one_of: ['bedrock', 'gemini'] },
            then_field: 'auth.allow_override',
            then_match: { eq: false },
            error: 'bedrock and gemini only support auth.allow_override = false',
          },
          { rule: 'mutually_required', fields: ['auth.header_name', 'auth.header_value'] },
          { rule: 'mutually_required', fields: ['auth.param_name', 'auth.param_value', 'auth.param_location'] },
          {
            rule: 'conditional_at_least_one_of',
            if_field: 'model.provider',
            if_match: { one_of: ['llama2'] },
            then_at_least_one_of: ['model.options.llama2_format'],
            then_error: 'must set %s for llama2 provider',
          },
          {
            rule: 'conditional_at_least_one_of',
            if_field: 'model.provider',
            if_match: { one_of: ['mistral'] },
            then_at_least_one_of: ['model.options.mistral_format'],
            then_error: 'must set %s for mistral provider',
          },
          {
            rule: 'conditional_at_least_one_of',
            if_field: 'model.provider',
            if_match: { one_of: ['anthropic'] },
            then_at_least_one_of: ['model.options.anthropic_version'],
            then_error: 'must set %s for anthropic provider',
          },
          {
            rule: 'conditional_at_least_one_of',
            if_field: 'model.provider',
            if_match: { one_of: ['azure'] },
            then_at_least_one_of: ['model.options.azure_instance'],
            then_error: 'must set %s for azure provider',
          },
          {
            rule: 'conditional_at_least_one_of',
            if_field: 'model.provider',
            if_match: { one_of: ['azure'] },
            then_at_least_one_of: ['model.options.azure_api_version'],
            then_error: 'must set %s for azure provider',
          },
          {
            rule: 'conditional_at_least_one_of',
            if_field: 'model.provider',
            if_match: { one_of: ['azure'] },
            then_at_least_one_of: ['model.options.azure_deployment_id'],
            then_error: 'must set %s for azure provider',
          },
          {
            rule: 'conditional_at_least_one_of',
            if_field: 'model.provider',
            if_match: { one_of: ['llama2'] },
            then_at_least_one_of: ['model.options.upstream_url'],
            then_error: 'must set %s for self-hosted providers/models',
          },
          {
            rule: 'custom',
            name: 'llm_statistics',
            fields: ['route_type', 'model', 'logging'],
            meaning:
              'log_statistics unsupported for some provider/route_type pairs (llm/v1/completions with anthropic)',
            errors: ['<provider> does not support statistics when route_type is <route_type>'],
          },
        ],
      },
    ),
  },
})
export type Config = ConfigOf<typeof schema>
