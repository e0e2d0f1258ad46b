import { choice, duration, integer, list, operatorPath, size, text, workerCount } from './scalars.ts'
import { setting } from './setting.ts'
import { pluginPath } from './composites.ts'

/** Kong's words; ours are fewer, see `telemetry/logger.ts`. */
export const logLevels = ['debug', 'info', 'notice', 'warn', 'error', 'crit', 'alert', 'emerg'] as const
export type LogLevel = (typeof logLevels)[number]

const pluginName = text('name', /^[a-z0-9][a-z0-9_-]*$/, 'bundled, off, or names of plugins')

/** The node as a whole: where it keeps its files, how many threads it has, what it loads, how it ends. */
export const nodeSettings = {
  prefix: setting(
    operatorPath,
    'Folder for everything that the gateway writes: data, logs, certificates, the pid file. Made when it is missing.',
    {
      default: '.meridian',
    },
  ),
  node_id: setting(
    text('UUID', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'a UUID'),
    'Identity of this node. When unset, one is made at the first start and kept in the prefix folder.',
    { default: null },
  ),
  role: setting(
    choice(['traditional'], {
      control_plane: 'a control plane is not available yet, every node serves its own Admin API',
      data_plane: 'a data plane is not available yet, use database = off with a declarative file',
    }),
    'What the node is. Only a node that does everything is available.',
    { default: 'traditional' },
  ),
  workers: setting(workerCount, 'Number of worker threads that proxy; `auto` is one for each core.', {
    default: 'auto',
    aliases: ['nginx_worker_processes', 'nginx_main_worker_processes'],
  }),
  worker_heap_size: setting(
    size(64 * 1024 ** 2, 64 * 1024 ** 3),
    'JavaScript heap that a worker may fill before it is ended and replaced. Memory is only taken when it is used.',
    { default: '2g' },
  ),
  locality: setting(
    list(text('name', /^[^\s,]+$/, 'names of data centers or other places')),
    'Where this node is; more names are where requests go next, nearest first. Targets with that `locality` are preferred. By default `cassandra_local_datacenter`, else `redis_local_data_center`.',
    { default: '' },
  ),
  worker_silence_timeout: setting(
    duration(500),
    'A worker that has not answered for this long is named in the log, ended and replaced.',
    { default: '2s' },
  ),
  proxy_cache_size: setting(
    size(1024 ** 2, 64 * 1024 ** 3),
    'Memory for responses of the plugin proxy-cache, shared by all workers. It is only taken when it is used. The largest response that is kept is an eighth of it.',
    { default: '128m' },
  ),
  proxy_cache_purge_rate: setting(
    integer(0, 100_000),
    'Names of stored responses that may be purged through this node, a second: keys, prefixes, tags. What is over it gets 429. 0 is without a limit.',
    { default: '100' },
  ),
  plugins: setting(
    list(pluginName),
    'Plugins to load: `bundled` for all that come with the gateway, `off` for none, or names; `bundled` may be among names.',
    { default: 'bundled' },
  ),
  plugin_paths: setting(
    list(pluginPath),
    "Modules of the operator's own plugins. They run with the full rights of the gateway.",
    {
      default: '',
    },
  ),
  functions: setting(
    choice(['sandbox', 'trusted', 'off']),
    'How functions of pre-function and post-function run: `sandbox` in an interpreter that reaches nothing but the request, with limits; `trusted` in the gateway itself with all its rights, so whoever may write the configuration may do everything; `off` refuses them.',
    { default: 'sandbox' },
  ),
  log_level: setting(
    choice(logLevels),
    'Least severe entries that the log gets. `notice` is the same as `info`; `crit`, `alert` and `emerg` are the same.',
    { default: 'notice', reloadable: true },
  ),
  vault_file_folder: setting(
    operatorPath,
    'Folder whose files `{vault://file/NAME}` refers to in configurations, such as mounted secrets. Who may write configurations can use every file in it, and none outside. When unset, no file can be referenced.',
    { default: null },
  ),
  drain_delay: setting(
    duration(0, 3_600_000),
    'After SIGTERM, `/status/ready` answers 503 for this long while everything is still served, so that load balancers turn away first.',
    { default: '5s' },
  ),
  shutdown_timeout: setting(
    duration(0, 86_400_000),
    'How long requests in flight may go on after the listeners closed.',
    {
      default: '30s',
    },
  ),
} as const
