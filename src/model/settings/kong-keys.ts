/** Settings of Kong that change nothing here: accepted, so that an environment made for Kong starts, and listed with the reason. */
export interface KongKeys {
  readonly reason: string
  readonly keys: readonly string[]
  /** Families of keys. */
  readonly pattern?: RegExp
  /** The pattern in words, for the reference page. */
  readonly patternText?: string
}

export const kongKeysWithoutMeaning: readonly KongKeys[] = [
  {
    reason: 'PostgreSQL is not used',
    keys: ['_debug_pg_ttl_cleanup_interval'],
    pattern: /^pg_(ro_)?[a-z_]+$/,
    patternText: '`pg_*`',
  },
  {
    reason: 'only nodes of the local data center are asked, in turn',
    keys: ['cassandra_lb_policy'],
  },
  {
    reason: 'replication is always by data center, as `cassandra_data_centers` says',
    keys: ['cassandra_repl_factor', 'cassandra_repl_strategy'],
  },
  {
    reason: 'replaced by `cassandra_read_consistency` and `cassandra_write_consistency`, in Kong too',
    keys: ['cassandra_consistency'],
  },
  {
    reason:
      'each node has the whole configuration on its disk, in the order of its revisions: nothing is cached and nothing gets stale',
    keys: ['db_cache_neg_ttl', 'db_cache_ttl', 'db_cache_warmup_entities', 'db_resurrect_ttl', 'db_update_propagation'],
  },
  {
    reason: 'hybrid mode works differently here and is not available yet',
    keys: [],
    pattern: /^cluster_[a-z_]+$/,
    patternText: '`cluster_*`',
  },
  {
    reason: 'nginx and Lua are not used; directives that have a counterpart are aliases of other settings',
    keys: [
      'client_ssl_verify',
      'lua_max_post_args',
      'lua_max_req_headers',
      'lua_max_resp_headers',
      'lua_max_uri_args',
      'lua_package_cpath',
      'lua_package_path',
      'lua_socket_pool_size',
      'lua_ssl_protocols',
      'lua_ssl_verify_depth',
      'openresty_path',
      'ssl_dhparam',
      'ssl_session_cache_size',
      'untrusted_lua',
      'untrusted_lua_sandbox_environment',
      'untrusted_lua_sandbox_requires',
      'worker_consistency',
      'router_consistency',
      'worker_events_max_payload',
      'worker_state_update_frequency',
      'host_ports',
      'upstream_keepalive',
      'dedicated_config_processing',
      'privileged_worker',
    ],
    pattern:
      /^nginx_(main|events|http|proxy|location|upstream|admin|status|stream|sproxy|supstream|wasm|user|daemon|optimizations)(_[a-z0-9_]+)?$/,
    patternText: '`nginx_*`',
  },
  {
    reason: 'the local store is a file of its own in the prefix folder',
    keys: ['lmdb_environment_path', 'lmdb_map_size'],
  },
  {
    reason: 'all entries of the gateway go to one log, `proxy_error_log`',
    keys: ['admin_error_log', 'status_error_log', 'proxy_stream_error_log'],
  },
  {
    reason: 'there is no web manager',
    keys: ['admin_gui_api_url'],
    pattern: /^admin_gui_(listen|path|access_log|error_log|ssl_cert|ssl_cert_key|host|origin|protocol)$/,
    patternText: '`admin_gui_*` except `admin_gui_url`',
  },
  {
    reason: 'look-ups of one name are always shared, and there is one DNS client',
    keys: ['dns_no_sync', 'new_dns_client', 'resolver_family', 'resolver_mem_cache_size'],
  },
  {
    reason: 'nothing is reported to anybody',
    keys: ['anonymous_reports'],
  },
  {
    reason: 'not available',
    keys: [
      'debug_ssl_cert',
      'debug_ssl_cert_key',
      'error_template_html',
      'error_template_json',
      'error_template_plain',
      'error_template_xml',
      'go_pluginserver_exe',
      'go_plugins_dir',
      'kic',
      'proxy_server',
      'proxy_server_ssl_verify',
      'request_debug',
      'request_debug_token',
      'vaults',
    ],
    pattern: /^(pluginserver_[a-z0-9_]+|wasm(_[a-z0-9_]+)?|vault_[a-z0-9_]+)$/,
    patternText: '`pluginserver_*`, `wasm*`, `vault_*`',
  },
]

/** Why a key of Kong has no meaning here; null when it is no such key. */
export function reasonWithoutMeaning(key: string): string | null {
  for (const { keys, pattern, reason } of kongKeysWithoutMeaning) {
    if (keys.includes(key) || pattern?.test(key) === true) return reason
  }
  return null
}
