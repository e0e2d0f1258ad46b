/**
 * Every error code of the gateway, with what it means and what to do about it: what logs, metrics, `/status` and the command
 * line name. Adding a code is adding a line here; `docs/reference/errors.md` is generated from this table.
 */
export interface ErrorEntry {
  /** HTTP status when a client or an operator gets it as an answer; null when it only stops a command or stands in a log. */
  readonly status: number | null
  /** What happened, in one sentence. */
  readonly message: string
  /** What the reader can do. */
  readonly remedy: string
}

export const errors = {
  // Start and command line.
  USAGE: {
    status: null,
    message: 'The command line is wrong.',
    remedy: '`meridian COMMAND --help` shows what a command takes.',
  },
  SETTINGS_INVALID: {
    status: null,
    message: 'The settings file or environment has errors; all of them are listed.',
    remedy: 'Correct each line that is named; `docs/reference/settings.md` has every key with its form.',
  },
  PREFIX_UNUSABLE: {
    status: null,
    message: 'The prefix folder can not be made or written.',
    remedy: 'Choose another folder with the setting `prefix`, or give this user the right to write there.',
  },
  PORT_BUSY: {
    status: null,
    message: 'Another program listens on a port that the gateway is told to use.',
    remedy: 'Stop the program that is named, or choose another port with the setting that is named.',
  },
  PORT_FORBIDDEN: {
    status: null,
    message: 'The operating system does not let this user listen on that address.',
    remedy: 'Use a port from 1024 up, grant CAP_NET_BIND_SERVICE, or lower net.ipv4.ip_unprivileged_port_start.',
  },
  ADDRESS_UNAVAILABLE: {
    status: null,
    message: 'The address of a listener does not belong to this machine.',
    remedy: 'Correct the listen setting that is named; 0.0.0.0 or [::] listens on every address.',
  },
  ALREADY_RUNNING: {
    status: null,
    message: 'A gateway already runs with this prefix.',
    remedy: 'Stop it with `meridian stop`, or start the second one with a prefix of its own.',
  },
  NOT_RUNNING: {
    status: null,
    message: 'No gateway runs with this prefix.',
    remedy: 'Start it, or name the right settings file with --conf or the right folder with --prefix.',
  },
  ADMIN_UNREACHABLE: {
    status: null,
    message: 'The Admin API did not answer.',
    remedy: 'Check that the gateway runs and that `admin_listen` (or --admin) is the address where it does.',
  },
  ADMIN_REFUSED: {
    status: null,
    message: 'The Admin API refused the request.',
    remedy: 'Read the message; with 401 or 403 give a token of a sufficient role in MERIDIAN_ADMIN_TOKEN.',
  },
  STOP_TIMEOUT: {
    status: null,
    message: 'The gateway did not stop in time.',
    remedy: 'Wait longer with --timeout, or end it at once with --force (requests in flight are lost).',
  },
  CERTIFICATE_INVALID: {
    status: null,
    message: 'A certificate or key can not be read, or the two do not belong together.',
    remedy:
      'Check the files that are named: PEM, certificate chain with the leaf first, and the key that belongs to it.',
  },
  PLUGIN_INVALID: {
    status: null,
    message: "An operator's plugin can not be loaded.",
    remedy:
      'Correct the file that is named in `plugin_paths`: it has to exist, to run, and to export one plugin made by definePlugin.',
  },
  DECLARATIVE_INVALID: {
    status: 400,
    message: 'A declarative file has errors; all of them are listed and nothing was loaded.',
    remedy: 'Correct each line that is named; `meridian config validate FILE` checks without loading.',
  },

  // Configuration store.
  STORE_UNAVAILABLE: {
    status: 503,
    message: 'The configuration store can not be asked now, and the answer is not in the cache.',
    remedy: 'Retry after the time in Retry-After; see `/status` and the log for what keeps the store away.',
  },
  LOG_TRUNCATED: {
    status: 410,
    message: 'The configuration log no longer reaches back to that revision.',
    remedy: 'Ask for a later revision; `log_retention` says how many are kept.',
  },
  COPY_DIVERGED: {
    status: null,
    message: 'The local copy of the configuration is not the one that the log of the cluster leads to.',
    remedy:
      'It is loaded anew by itself. When it happens again, look for a damaged disk or a database that was restored.',
  },
  STORE_BUSY: {
    status: 503,
    message: 'Another process keeps the file of the configuration store locked.',
    remedy: 'Retry; when it stays, look which other process has the file open (`fuser`), a backup tool for example.',
  },
  STORE_FORMAT: {
    status: null,
    message: 'The file of the configuration store is not one that this version understands.',
    remedy:
      'Start the version that wrote it, or restore a backup made before the upgrade; check the path in the settings.',
  },
  KEYRING_INVALID: {
    status: null,
    message: 'The keyring can not be read.',
    remedy: 'One key a line, `id:base64 of 32 bytes`, the newest last; check `keyring_file` and `keyring_env`.',
  },
  KEY_MISSING: {
    status: null,
    message: 'A key that stored secrets are sealed with is not in the keyring.',
    remedy: 'Put the key with the id that is named back into the keyring (`keyring_file`, `keyring_env`).',
  },
  KEY_WRONG: {
    status: null,
    message: 'A stored secret does not open with the key of its id.',
    remedy: 'Use the keyring that the store was written with; if it is the right one, the stored data was changed.',
  },
  CASSANDRA_UNREACHABLE: {
    status: 503,
    message: 'No node of the Cassandra cluster can be asked.',
    remedy:
      'Check that Cassandra runs, and that `cassandra_contact_points`, `cassandra_port` and `cassandra_ssl` are right.',
  },
  CASSANDRA_REFUSED: {
    status: 503,
    message: 'The Cassandra cluster does not let this node in, or is not the one that the settings describe.',
    remedy:
      'Check the setting that is named, `cassandra_username`, the certificate authorities in `lua_ssl_trusted_certificate`, and the rights of the role.',
  },
  CASSANDRA_FAILED: {
    status: 503,
    message: 'Cassandra did not do what it was asked.',
    remedy:
      'Repeat it: what was done stays, and is not done twice. Look at `nodetool status` and the logs of the nodes.',
  },
  SCHEMA_PENDING: {
    status: null,
    message: 'The keyspace lacks tables that this version needs.',
    remedy: 'Run `meridian migrations up` once, on any node.',
  },
  SCHEMA_NEWER: {
    status: null,
    message: 'The keyspace was made by a newer version of Meridian.',
    remedy: 'Use that version, or a newer one; or name another keyspace in `cassandra_keyspace`.',
  },
  NODE_OLDER: {
    status: 409,
    message: 'A node of an older version could not read this change.',
    remedy: 'Upgrade the node that is named, or stop it for more than ten seconds, and repeat the change.',
  },
  SCHEMA_DISAGREEMENT: {
    status: null,
    message: 'The nodes of the Cassandra cluster do not have the same schema, or some are down.',
    remedy: 'Start the nodes that are named, wait until `nodetool describecluster` shows one schema, and repeat it.',
  },
  MIGRATIONS_BUSY: {
    status: null,
    message: 'Another process applies migrations.',
    remedy:
      'Wait for it; when it was killed its lease ends by itself after a minute, or at once with `migrations up --take-over`, and the next run goes on where it stopped.',
  },
  INVALID_OFFSET: {
    status: 400,
    message: 'The offset of a page is not one that a page before gave.',
    remedy: 'Start again without offset, and pass offsets on as they came.',
  },
  RUNTIME_STORE_FULL: {
    status: 503,
    message: 'The store for short-lived values holds as many as it may.',
    remedy: 'Look for a client that opens sessions without end; shorten the life of what is stored.',
  },

  // Requests of clients.
  BAD_REQUEST_LINE: {
    status: 400,
    message: 'The request line is not one of HTTP/1.x.',
    remedy: 'Send `METHOD target HTTP/1.1` with single spaces, ended by CRLF (RFC 9112 section 3).',
  },
  BAD_METHOD: {
    status: 400,
    message: 'The method is not a token.',
    remedy: 'Use a method of letters (RFC 9110 section 9).',
  },
  BAD_TARGET: {
    status: 400,
    message: 'The request target has a form or bytes that are not allowed.',
    remedy: 'Send an absolute path, percent-encoding what is not allowed in one (RFC 9112 section 3.2).',
  },
  BAD_VERSION: {
    status: 505,
    message: 'The HTTP version is not served.',
    remedy: 'Use HTTP/1.1.',
  },
  BAD_HEADER: {
    status: 400,
    message: 'A header field has a name, value or line end that is not allowed.',
    remedy: 'Correct the field that the log names (RFC 9112 section 5).',
  },
  BAD_HOST: {
    status: 400,
    message: 'The Host header is missing, repeated or malformed.',
    remedy: 'Send exactly one Host header (RFC 9112 section 3.2).',
  },
  BAD_FRAMING: {
    status: 400,
    message: 'Content-Length and Transfer-Encoding do not tell one unambiguous length.',
    remedy: 'Send one Content-Length, or chunked as the last transfer coding, and not both (RFC 9112 section 6).',
  },
  BAD_CHUNK: {
    status: 400,
    message: 'A chunk of the body is malformed.',
    remedy: 'Send chunks as RFC 9112 section 7.1 says.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    message: 'The method is not served here.',
    remedy: 'Use another method.',
  },
  NOT_IMPLEMENTED: {
    status: 501,
    message: 'The request asks for a transfer coding that the gateway does not have.',
    remedy: 'Use chunked or a Content-Length.',
  },
  EXPECTATION_FAILED: {
    status: 417,
    message: 'The Expect header asks for something else than 100-continue.',
    remedy: 'Leave it out.',
  },
  URI_TOO_LONG: {
    status: 414,
    message: 'The request line is longer than allowed.',
    remedy: 'Shorten the target, or raise `large_client_header_buffers`.',
  },
  HEADER_TOO_LARGE: {
    status: 400,
    message: 'The header fields are more, or longer, than allowed.',
    remedy: 'Send less, or raise `large_client_header_buffers` or `client_max_headers`.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    message: 'The request body is longer than allowed.',
    remedy: 'Send less, or raise `client_max_body_size` (or the limit of the plugin that the log names).',
  },
  CLIENT_TIMEOUT: {
    status: 408,
    message: 'The client did not send its request in time.',
    remedy: 'Raise `client_header_timeout` or `client_body_timeout` when clients are rightly this slow.',
  },
  CLIENT_ABORTED: {
    status: 499,
    message: 'The client closed the connection before the answer was complete.',
    remedy: 'Nothing is wrong in the gateway; look for time-outs of the client that are shorter than the work.',
  },
  OVERLOADED: {
    status: 503,
    message: 'The gateway refuses work because it is at one of its limits.',
    remedy: 'Retry after the time in Retry-After; add nodes or workers, or raise the limit that the log names.',
  },

  // Upstreams.
  BAD_STATUS_LINE: {
    status: 502,
    message: "The upstream's answer is not HTTP.",
    remedy: 'Check protocol and port of the service: a TLS port asked for plain HTTP answers like this.',
  },
  CONNECT_FAILED: {
    status: 502,
    message: 'No connection to the upstream could be made.',
    remedy: 'Check that the target runs, and that host and port of the service or target are right.',
  },
  CONNECT_TIMEOUT: {
    status: 504,
    message: 'The upstream did not accept a connection in time.',
    remedy: "Check network and firewall, or raise the service's `connect_timeout`.",
  },
  TLS_FAILED: {
    status: 502,
    message: 'The TLS handshake with the upstream failed.',
    remedy: "Check the upstream's certificate against `tls_verify`, `ca_certificates` and the name that is asked for.",
  },
  UPSTREAM_CLOSED: {
    status: 502,
    message: 'The upstream closed the connection before its answer was complete.',
    remedy: "Look into the upstream's log at the time of the request.",
  },
  UPSTREAM_TIMEOUT: {
    status: 504,
    message: 'The upstream did not send or take data in time.',
    remedy: "Look into the upstream, or raise the service's `read_timeout` or `write_timeout`.",
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errors

/** A failure with a code of the table: thrown where I/O breaks or a command can not go on. `message` says what was expected and what came. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  /** The single problems, when there are several. */
  readonly details: readonly string[]

  constructor(code: ErrorCode, message?: string, options: { cause?: unknown; details?: readonly string[] } = {}) {
    super(message ?? errors[code].message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.details = options.details ?? []
  }

  get remedy(): string {
    return errors[this.code].remedy
  }
}

/** The page `docs/reference/errors.md`. */
export function errorsReference(): string {
  const rows = Object.entries<ErrorEntry>(errors)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { status, message, remedy }]) => `| \`${code}\` | ${status ?? ''} | ${cell(message)} | ${cell(remedy)} |`,
    )
  return [
    '# Errors',
    '',
    'Generated from `src/core/errors.ts` by `npm run docs`. The codes stand in logs, in metrics and in what the command line prints.',
    '',
    '| code | status | what happened | what to do |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
