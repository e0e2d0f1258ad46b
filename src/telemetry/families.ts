/**
 * Every metric that is no figure of a single route: name, type, labels, what it says. Kong's names where Kong has them, so that its
 * dashboards work. Durations are in seconds unless Kong's name says `ms`.
 */
export interface MetricFamily {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Whether each thread keeps its own series (label `worker`) instead of one sum. */
  readonly perWorker?: boolean
  /**
   * Of a gauge (Kong's type for it) that in truth only grows: true, or the values of its last label for which it does. What a
   * worker that was replaced had counted stays in the sum, as for counters.
   */
  readonly grows?: true | readonly string[]
  /** Of a histogram: the upper bounds of its buckets; a last one takes the rest. */
  readonly bounds?: readonly number[]
}

/** As Kong has them, for caches by meaning too. */
const MODEL_LABELS = [
  'ai_provider',
  'ai_model',
  'cache_status',
  'vector_db',
  'embeddings_provider',
  'embeddings_model',
  'workspace',
] as const

export const families = {
  kong_nginx_connections_total: {
    type: 'gauge',
    help: 'Client connections by state: accepted, handled and total count from the start, the others are now.',
    labels: ['node_id', 'subsystem', 'state'],
    grows: ['accepted', 'handled', 'total'],
  },
  kong_nginx_requests_total: {
    type: 'gauge',
    help: 'Requests since the start.',
    labels: ['node_id', 'subsystem'],
    grows: true,
  },
  kong_datastore_reachable: { type: 'gauge', help: '1 while the configuration store answers, else 0.', labels: [] },
  kong_node_info: {
    type: 'gauge',
    help: 'Identity and version of the node; always 1.',
    labels: ['node_id', 'version'],
  },
  kong_upstream_target_health: {
    type: 'gauge',
    help: 'Health of targets by state (healthchecks_off, healthy, unhealthy, dns_error): 1 for the one that holds, else 0.',
    labels: ['upstream', 'target', 'address', 'state', 'subsystem'],
  },
  meridian_unlisted_target_addresses: {
    type: 'gauge',
    help: 'Addresses of targets that found no place in kong_upstream_target_health.',
    labels: [],
  },
  meridian_upstreams_in_panic: {
    type: 'gauge',
    help: 'Upstreams whose requests go to all targets, because too few are healthy (resilience.panic).',
    labels: [],
    perWorker: true,
  },
  meridian_open_circuits: {
    type: 'gauge',
    help: 'Addresses of targets whose circuit (resilience.circuit_breaker) is open or lets trials through.',
    labels: [],
    perWorker: true,
  },
  meridian_upstreams_spilling: {
    type: 'gauge',
    help: 'Upstreams of whose requests a part goes to targets of other localities, because too few of those that are near are healthy.',
    labels: [],
    perWorker: true,
  },
  meridian_locality_picks_total: {
    type: 'counter',
    help: 'Targets of upstreams that were chosen, those for retries among them, by their place: near (of the locality of the node, or of none), far. Counted where the node has a locality.',
    labels: ['place'],
  },
  meridian_health_probes_total: {
    type: 'counter',
    help: 'Health checks of targets by how they ended: answered (a status), success or failure (gRPC, TCP), tcp_failure, timeout, broken (the check itself failed).',
    labels: ['outcome'],
  },
  meridian_health_check_last_run_seconds: {
    type: 'gauge',
    help: 'When a health check last brought a result, in seconds since 1970; 0 before the first.',
    labels: [],
  },
  meridian_health_check_overdue_seconds: {
    type: 'gauge',
    help: 'How late the health check is that has waited longest for its turn; 0 when all are in time.',
    labels: [],
  },
  meridian_health_unshared_addresses: {
    type: 'gauge',
    help: 'Addresses whose health each worker has for itself, because there are more than the node has places for.',
    labels: [],
  },
  kong_memory_workers_lua_vms_bytes: {
    type: 'gauge',
    help: 'JavaScript heap in use by a worker (pid is the thread).',
    labels: ['node_id', 'pid', 'kong_subsystem'],
  },
  kong_memory_lua_shared_dict_bytes: {
    type: 'gauge',
    help: 'Used part of memory that all workers share.',
    labels: ['node_id', 'shared_dict', 'kong_subsystem'],
  },
  kong_memory_lua_shared_dict_total_bytes: {
    type: 'gauge',
    help: 'Size of memory that all workers share.',
    labels: ['node_id', 'shared_dict', 'kong_subsystem'],
  },
  kong_nginx_metric_errors_total: {
    type: 'counter',
    help: 'Figures that found no series of their own, because there are as many as allowed.',
    labels: [],
  },
  meridian_config_revision: {
    type: 'gauge',
    help: 'Revision of the configuration that the thread serves.',
    labels: [],
    perWorker: true,
  },
  meridian_config_head_revision: { type: 'gauge', help: 'Newest revision that this node knows of.', labels: [] },
  meridian_config_lag_revisions: { type: 'gauge', help: 'Revisions that the slowest worker is behind.', labels: [] },
  meridian_config_rejected_total: {
    type: 'counter',
    help: 'Configurations that were refused, while the one before stays in force, by where they came from.',
    labels: ['via'],
  },
  meridian_config_apply_seconds: {
    type: 'gauge',
    help: 'How long the thread took to take over the newest revision.',
    labels: [],
    perWorker: true,
  },
  meridian_config_propagation_seconds: {
    type: 'histogram',
    help: "Time from a revision's commit, by the clock of the node that wrote it, until the last worker of this node served it; never below 0.",
    labels: [],
    bounds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60],
  },
  meridian_config_projected_revision: {
    type: 'gauge',
    help: 'Revision up to which this node knows that the projection of its data center is written.',
    labels: [],
  },
  meridian_config_copy_filled_ratio: {
    type: 'gauge',
    help: 'Of the parts of the configuration, those that the copy of this node has: 1 when it is whole.',
    labels: [],
  },
  meridian_cluster_nodes: {
    type: 'gauge',
    help: 'Nodes as this one sees them, by data center and state: ready, starting, draining, down, or unknown while their rows can not be read.',
    labels: ['data_center', 'state'],
  },
  meridian_cassandra_reachable: {
    type: 'gauge',
    help: '1 while this node reads and writes in Cassandra, 0 while it serves its copy alone.',
    labels: [],
  },
  meridian_cassandra_remote_contacts_total: {
    type: 'counter',
    help: 'Connections to Cassandra nodes of another data center: a contact point is not where it should be.',
    labels: [],
  },
  meridian_counters_synced: {
    type: 'gauge',
    help: '1 while this node exchanges the counts of rate limits (policy cluster) with the others, 0 when it has not for 2 s.',
    labels: [],
  },
  meridian_counters_sync_failures_total: {
    type: 'counter',
    help: 'Rounds in which counts could not be written or read.',
    labels: [],
  },
  meridian_counters_sync_waiting: {
    type: 'gauge',
    help: 'Counters that wait for their turn to be exchanged.',
    labels: [],
  },
  meridian_counters_sync_dropped_total: {
    type: 'counter',
    help: 'Counters that grew while too many waited: the others do not know of it until they grow again.',
    labels: [],
  },
  meridian_redis_up: {
    type: 'gauge',
    help: '1 while every worker that uses this Redis gets answers of it, else 0: then limits are degraded to what each node knows.',
    labels: ['redis'],
  },
  meridian_redis_commands_total: {
    type: 'counter',
    help: 'Commands for a Redis, those that were not sent because it does not answer among them.',
    labels: ['redis'],
  },
  meridian_redis_failures_total: {
    type: 'counter',
    help: 'Commands for a Redis that had no answer in time, or an error.',
    labels: ['redis'],
  },
  meridian_limit_refusals_total: {
    type: 'counter',
    help: "Requests that limits of traffic-limit refused, or with mode 'shadow' would have, by the name of the limit.",
    labels: ['limit', 'mode'],
  },
  meridian_limit_exchange_leader: {
    type: 'gauge',
    help: '1 on the node that exchanges limits with the other data centers, else 0.',
    labels: [],
  },
  meridian_limit_exchange_age_seconds: {
    type: 'gauge',
    help: 'On the node that exchanges limits, the time since all was exchanged with a data center; 0 on the others.',
    labels: ['data_center'],
  },
  meridian_limit_excess_bound: {
    type: 'gauge',
    help: 'The part of this node in what may be admitted over counted limits, all together, before data centers hear of each other: the rate of what it tells them lately, times how long that takes. The sum over all nodes is the bound at that rate.',
    labels: ['data_center'],
  },
  meridian_limit_exchange_windows_total: {
    type: 'counter',
    help: 'Windows of counters that were exchanged with the other data centers.',
    labels: [],
  },
  meridian_limit_exchange_waiting: {
    type: 'gauge',
    help: 'Windows of counters that wait for their exchange.',
    labels: [],
  },
  meridian_flood_connections_refused_total: {
    type: 'counter',
    help: 'Connections that were closed when they came, because floods over HTTP/2 came from the same address a moment ago.',
    labels: [],
  },
  meridian_rejected_requests_total: {
    type: 'counter',
    help: 'Requests and connections that were refused before a route was looked for, by the code in docs/reference/errors.md.',
    labels: ['reason'],
  },
  meridian_failed_exchanges_total: {
    type: 'counter',
    help: 'Exchanges that ended by a failure, by code and who is to blame (client, upstream or gateway).',
    labels: ['code', 'source'],
  },
  meridian_plugin_seconds_total: {
    type: 'counter',
    help: 'Time spent in plugins, by phase; sampled and scaled up.',
    labels: ['plugin', 'phase'],
  },
  meridian_plugin_runs_total: {
    type: 'counter',
    help: 'Runs of plugins, by phase; sampled and scaled up.',
    labels: ['plugin', 'phase'],
  },
  meridian_plugin_errors_total: { type: 'counter', help: 'Exceptions in plugins.', labels: ['plugin', 'phase'] },
  meridian_plugin_calls_total: {
    type: 'counter',
    help: 'Calls that plugins made to services of their own, by how they ended: answered, refused (another answer than asked for), failed.',
    labels: ['plugin', 'call', 'outcome'],
  },
  meridian_plugin_events_total: {
    type: 'counter',
    help: "What plugins did, by the plugin and its own name for it; the plugin's page says which there are.",
    labels: ['plugin', 'event'],
  },
  meridian_plugin_bytes_total: {
    type: 'counter',
    help: "Bytes that plugins took and gave; the plugin's page says which there are.",
    labels: ['plugin', 'kind'],
  },
  meridian_split_requests_total: {
    type: 'counter',
    help: "Requests by the id of the traffic-split that sent them, the target (stable is the route's own service) and how they ended: ok or error.",
    labels: ['split', 'target', 'outcome'],
  },
  meridian_split_share: {
    type: 'gauge',
    help: 'The part of the requests, 0 to 1, that a target of a traffic-split has by its weight now.',
    labels: ['split', 'target'],
  },
  meridian_split_aborted: {
    type: 'gauge',
    help: '1 while a target of a traffic-split is aborted, else 0.',
    labels: ['split', 'target'],
  },
  meridian_plugin_refusals_total: {
    type: 'counter',
    help: 'Requests that plugins refused for what they are, by the reason.',
    labels: ['plugin', 'reason'],
  },
  meridian_deprecated_requests_total: {
    type: 'counter',
    help: 'Requests for APIs that the plugin deprecation says go away, by who called and how far that is: announced, deprecated, brownout, retired.',
    labels: ['api', 'consumer', 'stage'],
  },
  kong_ai_llm_requests_total: {
    type: 'counter',
    help: 'Requests to language models whose statistics are logged, by provider and the model that was asked for; the labels of caches are empty.',
    labels: MODEL_LABELS,
  },
  kong_ai_llm_cost_total: {
    type: 'counter',
    help: 'What they cost, by the prices of the configuration.',
    labels: MODEL_LABELS,
  },
  kong_ai_llm_tokens_total: {
    type: 'counter',
    help: 'Their tokens by kind: prompt_tokens, completion_tokens, total_tokens.',
    labels: [...MODEL_LABELS, 'token_type'],
  },
  kong_ai_llm_provider_latency_ms: {
    type: 'histogram',
    help: 'Time from the request to a model until the last byte of its answer.',
    labels: MODEL_LABELS,
    bounds: [250, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000, 10_000, 30_000, 60_000],
  },
  meridian_acme_first_expiry_seconds: {
    type: 'gauge',
    help: 'Seconds until the first of the certificates that acme got ends; 0 without any.',
    labels: [],
  },
  meridian_event_loop_delay_seconds: {
    type: 'gauge',
    help: 'How late the event loop of a thread was since the scrape before.',
    labels: ['quantile'],
    perWorker: true,
  },
  meridian_cache_responses_total: {
    type: 'counter',
    help: 'Requests that the plugin proxy-cache had to do with, by what X-Cache-Status says.',
    labels: ['route', 'status'],
  },
  meridian_cache_hits_total: { type: 'counter', help: 'Look-ups that the cache answered.', labels: ['cache'] },
  meridian_cache_misses_total: { type: 'counter', help: 'Look-ups that went to the store.', labels: ['cache'] },
  meridian_cache_hit_ratio: {
    type: 'gauge',
    help: 'Share of look-ups that the cache answered, since the start.',
    labels: ['cache'],
  },
  meridian_cache_evictions_total: {
    type: 'counter',
    help: 'Entries that went before their end to make room for others.',
    labels: ['cache'],
  },
  meridian_cache_bytes: { type: 'gauge', help: 'Memory in use by the cache.', labels: ['cache'] },
  meridian_upstream_connections: {
    type: 'gauge',
    help: 'Connections to upstreams, by state (idle, busy).',
    labels: ['state'],
  },
  meridian_upstream_connections_created_total: {
    type: 'counter',
    help: 'Connections to upstreams that were opened.',
    labels: [],
  },
  meridian_upstream_connections_reused_total: {
    type: 'counter',
    help: 'Requests that went over a connection that was there.',
    labels: [],
  },
  meridian_exchanges_in_flight: { type: 'gauge', help: 'Requests that are being proxied now.', labels: [] },
  meridian_dns_queries_total: { type: 'counter', help: 'Questions to name servers, by outcome.', labels: ['outcome'] },
  meridian_log_lines_dropped_total: {
    type: 'counter',
    help: 'Lines of a log that were lost because disk or reader were too slow.',
    labels: ['log'],
  },
  meridian_log_entries_delivered_total: {
    type: 'counter',
    help: 'Entries of log and tracing plugins that their receivers took.',
    labels: ['plugin'],
  },
  meridian_log_entries_dropped_total: {
    type: 'counter',
    help: 'Entries of log and tracing plugins that were lost: the queue was full, the receiver away for too long, the entry too large, or the configuration gone.',
    labels: ['plugin', 'reason'],
  },
  meridian_log_delivery_failures_total: {
    type: 'counter',
    help: 'Attempts to deliver a batch that failed.',
    labels: ['plugin'],
  },
  meridian_log_queue_entries: {
    type: 'gauge',
    help: 'Entries of log and tracing plugins that wait to be delivered.',
    labels: ['plugin'],
  },
  meridian_log_queue_bytes: {
    type: 'gauge',
    help: 'Memory of the entries that wait or are being delivered.',
    labels: ['plugin'],
  },
  meridian_worker_up: {
    type: 'gauge',
    help: '1 when the worker answered this scrape, else 0 and its figures are those before.',
    labels: ['worker'],
  },
  meridian_worker_restarts_total: { type: 'counter', help: 'Workers that were replaced.', labels: [] },
  meridian_stream_sessions_total: {
    type: 'counter',
    help: 'TCP, TLS and UDP sessions that ended, by the status that the log has.',
    labels: ['protocol', 'status'],
  },
  meridian_stream_sessions_active: { type: 'gauge', help: 'TCP, TLS and UDP sessions that are open.', labels: [] },
  meridian_stream_sessions_refused_total: {
    type: 'counter',
    help: 'Connections closed and datagrams dropped because there was no room, and failed TLS handshakes.',
    labels: [],
  },
  meridian_stream_bytes_total: {
    type: 'counter',
    help: 'Bytes of ended sessions: ingress from clients, egress to them.',
    labels: ['direction'],
  },
  meridian_secrets_failing: {
    type: 'gauge',
    help: 'Secrets in vaults that could not be read at the last try; the last value stays in use.',
    labels: [],
  },
  meridian_ocsp_staples: {
    type: 'gauge',
    help: "Certificates of TLS listeners that name an OCSP responder, by state: current (stapled), later (not asked yet), failing (no answer, or the last one is over), revoked, impossible (without their issuer's certificate). Only with ssl_stapling.",
    labels: ['state'],
  },
  meridian_ocsp_staple_end_seconds: {
    type: 'gauge',
    help: 'When the first of the answers that are stapled ends, in seconds since 1970; 0 without any.',
    labels: [],
  },
  meridian_ocsp_answers_total: {
    type: 'counter',
    help: 'Questions to OCSP responders by what became of them: good, revoked, unknown (not to be used), failed.',
    labels: ['outcome'],
  },
  meridian_ready: { type: 'gauge', help: '1 while the node takes traffic.', labels: [] },
} as const satisfies Readonly<Record<string, MetricFamily>>

export type FamilyName = keyof typeof families

export type HistogramName = {
  [Name in FamilyName]: (typeof families)[Name]['type'] extends 'histogram' ? Name : never
}[FamilyName]

export function familyNamed(name: string): MetricFamily | undefined {
  return Object.hasOwn(families, name) ? families[name as FamilyName] : undefined
}

/** Values of the labels of a family, by name. */
export type LabelsOf<Name extends FamilyName> = Readonly<Record<(typeof families)[Name]['labels'][number], string>>
