import { defineEntity, t, type Static } from '#model/schema.ts'

/** Rules that match client requests and lead them to a service. */
export const routes = defineEntity({
  kind: 'routes',
  about: 'Rules that match client requests and lead them to a service.',
  endpoint_key: 'name',
  workspaceable: true,
  subschema_key: 'protocols',
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    name: t.utf8Name(),
    protocols: t.set(t.protocol(), {
      required: true,
      default: ['http', 'https'],
      len_min: 1,
      mutually_exclusive_subsets: [['http', 'https'], ['tcp', 'tls', 'udp'], ['tls_passthrough'], ['grpc', 'grpcs']],
    }),
    https_redirect_status_code: t.integer({ required: true, default: 426, one_of: [426, 301, 302, 307, 308] }),
    strip_path: t.boolean({ required: true, default: true }),
    preserve_host: t.boolean({ required: true, default: false }),
    request_buffering: t.boolean({ required: true, default: true }),
    response_buffering: t.boolean({ required: true, default: true }),
    tags: t.tags(),
    service: t.foreign('services'),
    snis: t.set(t.wildcardHost()),
    sources: t.sources(),
    destinations: t.destinations(),
    methods: t.methods(),
    hosts: t.hosts(),
    paths: t.routerPaths(),
    query: t.map(t.string(), t.array(t.string({ len_min: 0 })), {
      hidden_unless_set: true,
      description:
        'Query arguments that must be there, each with one of its values; an empty list takes any value. Not in Kong.',
    }),
    headers: t.map(
      t.headerName({
        match_none: [
          {
            pattern: '^[Hh][Oo][Ss][Tt]$',
            error: "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
          },
        ],
      }),
      t.array(t.string()),
      { typedef: 'headers' },
    ),
    regex_priority: t.integer({ default: 0 }),
    path_handling: t.string({ default: 'v0', one_of: ['v0', 'v1'] }),
  },
  checks: [
    {
      rule: 'conditional',
      if_field: 'protocols',
      if_match: { elements: { type: 'string', not_one_of: ['grpcs', 'https', 'tls', 'tls_passthrough'] } },
      then_field: 'snis',
      then_match: { len_eq: 0 },
      error: "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
    },
    {
      rule: 'custom',
      name: 'route_path_handling',
      fields: ['path_handling'],
      meaning: 'v1 only raises a deprecation log, never fails',
      errors: [],
    },
    {
      rule: 'custom',
      name: 'route_expression',
      fields: [
        'id',
        'protocols',
        'snis',
        'sources',
        'destinations',
        'methods',
        'hosts',
        'paths',
        'headers',
        'expression',
        'regex_priority',
        'priority',
      ],
      meaning:
        'traditional_compatible and expressions flavors: build/take expression and validate it against the field schema of the protocol; expression may not be combined with the classic attributes; regex_priority not with expression; priority not with classic attributes; http.path.segments.<i> or <i>_<j> (i<j) only',
      errors: [
        "Router Expression failed validation: cannot set 'expression' with 'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations' simultaneously",
        "Router Expression failed validation: cannot set 'regex_priority' with 'expression' simultaneously",
        "Router Expression failed validation: cannot set 'priority' with 'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations' simultaneously",
        'Router Expression failed validation: illformed http.path.segments.* field',
        'Router Expression failed validation: <parser error>',
      ],
    },
  ],
  fields_by_flavor: { traditional: { snis: t.set(t.sni()) } },
  subschemas_by_protocol: [
    {
      protocols: ['grpc', 'grpcs'],
      overrides: {
        strip_path: t.boolean({
          required: true,
          default: false,
          ne: true,
          error: "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'",
        }),
        methods: t.noMethods({ error: "cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'" }),
        sources: t.noSources({ error: "cannot set 'sources' when 'protocols' is 'grpc' or 'grpcs'" }),
        destinations: t.noSources({ error: "cannot set 'destinations' when 'protocols' is 'grpc' or 'grpcs'" }),
      },
      checks: [
        {
          rule: 'conditional_at_least_one_of',
          if_field: 'protocols',
          if_match: { contains: 'grpcs' },
          then_at_least_one_of: ['hosts', 'headers', 'paths', 'snis'],
          then_error: "must set one of %s when 'protocols' is 'grpcs'",
          else_match: { contains: 'grpc' },
          else_then_at_least_one_of: ['hosts', 'headers', 'paths'],
          else_error: "must set one of %s when 'protocols' is 'grpc'",
          also: ['query'],
        },
      ],
    },
    {
      protocols: ['http', 'https'],
      overrides: {
        sources: t.noSources({ error: "cannot set 'sources' when 'protocols' is 'http' or 'https'" }),
        destinations: t.noDestinations({ error: "cannot set 'destinations' when 'protocols' is 'http' or 'https'" }),
      },
      checks: [
        {
          rule: 'conditional_at_least_one_of',
          if_field: 'protocols',
          if_match: { contains: 'https' },
          then_at_least_one_of: ['methods', 'hosts', 'headers', 'paths', 'snis'],
          then_error: "must set one of %s when 'protocols' is 'https'",
          else_match: { contains: 'http' },
          else_then_at_least_one_of: ['methods', 'hosts', 'headers', 'paths'],
          else_error: "must set one of %s when 'protocols' is 'http'",
          also: ['query'],
        },
      ],
    },
    {
      protocols: ['tcp', 'tls', 'tls_passthrough', 'udp'],
      overrides: {
        methods: t.noMethods({
          error: "cannot set 'methods' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'",
        }),
        hosts: t.noHosts({ error: "cannot set 'hosts' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'" }),
        paths: t.noPaths({ error: "cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'" }),
        headers: t.noHeaders({
          error: "cannot set 'headers' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'",
        }),
        query: t.map(t.string(), t.array(t.string()), {
          eq: null,
          error: "cannot set 'query' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'",
          hidden_unless_set: true,
        }),
      },
      checks: [
        {
          rule: 'conditional_at_least_one_of',
          if_field: 'protocols',
          if_match: { elements: { type: 'string', one_of: ['tcp', 'tls', 'udp'] } },
          then_at_least_one_of: ['sources', 'destinations', 'snis'],
          then_error: "must set one of %s when 'protocols' is 'tcp', 'tls' or 'udp'",
        },
        {
          rule: 'conditional_at_least_one_of',
          if_field: 'protocols',
          if_match: { elements: { type: 'string', one_of: ['tls_passthrough'] } },
          then_at_least_one_of: ['snis'],
          then_error: "must set snis when 'protocols' is 'tls_passthrough'",
        },
      ],
    },
  ],
})
export type Route = Static<typeof routes.fields>
