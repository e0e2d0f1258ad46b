import { origin, retention } from './composites.ts'
import { choice, list, operatorPath, size, text } from './scalars.ts'
import { setting } from './setting.ts'

/** Where services, routes and the rest of the configuration are kept. */
export const storeSettings = {
  database: setting(
    choice(['sqlite', 'cassandra', 'off'], {
      postgres:
        "PostgreSQL is not available. To move over, export with 'kong config db_export kong.yml' on a Kong node, then either set database = off and declarative_config = kong.yml, or set database = sqlite and load the file with decK ('deck gateway sync')",
      peer: 'following another node is not available yet; sqlite keeps the configuration of one node',
    }),
    '`sqlite` keeps the configuration in the prefix folder and takes changes by the Admin API; `cassandra` shares it between all nodes of a cluster, over any number of data centers; `off` takes it from a declarative file or POST /config and keeps it in memory.',
    { default: 'sqlite' },
  ),
  declarative_config: setting(
    operatorPath,
    'Declarative file (YAML or JSON) for `database = off`. It is watched, and loaded again when it changes.',
    {
      default: null,
    },
  ),
  declarative_config_string: setting(
    text('YAML or JSON', /\S/, 'a declarative configuration'),
    'The text of a declarative file itself, for `database = off`.',
    {
      default: null,
      secret: true,
    },
  ),
  keyring_file: setting(
    operatorPath,
    'File with the keys by which secrets are encrypted in the store, the same on all nodes of a cluster. When neither this nor `keyring_env` is set, one is made in the prefix folder.',
    { default: null },
  ),
  keyring_env: setting(
    text('name of a variable', /^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable'),
    'Environment variable that holds the keyring.',
    { default: null },
  ),
  log_retention: setting(
    retention,
    'How much of the configuration log is kept for audit and rollback: so many revisions and those of this time, whichever is more.',
    { default: '10000 90d' },
  ),
  mem_cache_size: setting(
    size(1024 ** 2, 2 ** 40),
    'Memory of a worker for the consumers and credentials that it has looked up.',
    { default: '128m' },
  ),
} as const

/** Who may change the configuration. */
export const adminSettings = {
  admin_token_file: setting(
    operatorPath,
    'File of those who may use the Admin API beyond loopback, one JSON object a line: tokens by their hash, client certificates by their common name, each with a role (`viewer`, `editor`, `admin`). `meridian token create` makes a line.',
    { default: null, reloadable: true },
  ),
  admin_client_ca: setting(
    operatorPath,
    'PEM file of the authorities that client certificates for the Admin API are verified against, on listeners with `ssl`.',
    { default: null },
  ),
  admin_hosts: setting(
    list(text('name', /^[A-Za-z0-9._:-]+$/, 'host names or addresses, without port')),
    'Names by which the Admin API may be asked besides loopback and its own address; others are refused, against DNS rebinding.',
    { default: '' },
  ),
  admin_gui_url: setting(
    list(origin),
    'Web pages that may use the Admin API from a browser; every other origin is refused.',
    {
      default: '',
    },
  ),
  admin_client_max_body_size: setting(size(1024, 1024 ** 3), 'Longest body of a request to the Admin API (else 413).', {
    default: '64m',
    aliases: ['nginx_admin_client_max_body_size'],
  }),
} as const
