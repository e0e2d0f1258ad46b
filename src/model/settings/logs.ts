import { compileSafeRegex } from '#core/pcre.ts'
import { accessLog, errorLog } from './composites.ts'
import { accept, expect, type Kind } from './kind.ts'
import { choice, integer, list, size, text } from './scalars.ts'
import { setting } from './setting.ts'

const accessLogFormats = ['combined', 'basic', 'json', 'custom'] as const
export type AccessLogFormatName = (typeof accessLogFormats)[number]

const headerName = text('header name', /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'the name of a header')
const argumentName = text('argument', /^[^&=]+$/, 'the name of a query argument, decoded')
const recordPath = text('path', /^[^.]+(\.[^.]+)*$/, 'a path such as consumer.custom_id or request.headers.*')

const safeRegex: Kind<string> = {
  form: 'regular expression',
  shape: 'text',
  parse(value) {
    const compiled = compileSafeRegex(value)
    return compiled.ok ? accept(value) : expect('a regular expression that runs in linear time', compiled.reason)
  },
}

/** What `log_mask_patterns` names, see `telemetry/sensitive-text.ts`. */
const maskPatterns = ['card', 'iban', 'email', 'jwt'] as const

/** What is written about requests, and where. */
export const logSettings = {
  proxy_access_log: setting(
    accessLog(accessLogFormats),
    'One line for each proxied request: a path below the prefix, `/dev/stdout` or `off`. A format may follow: `combined` (the default), `basic` (without request id), `json`, `custom` (see `access_log_format`). Reopened on SIGUSR1.',
    { default: 'logs/access.log' },
  ),
  proxy_stream_access_log: setting(
    accessLog(['basic']),
    'One line for each TCP, TLS and UDP session, when it ends: a path below the prefix, `/dev/stdout` or `off`.',
    { default: 'logs/access.log' },
  ),
  admin_access_log: setting(accessLog(accessLogFormats), 'The same for requests to the Admin API.', {
    default: 'logs/admin_access.log',
  }),
  status_access_log: setting(accessLog(accessLogFormats), 'The same for requests to the status listener.', {
    default: 'off',
  }),
  access_log_format: setting(
    text('text with $variables', /\$[a-z]/, 'a text with variables such as $remote_addr, $request and $status'),
    'Line of the format `custom`, with the variables of nginx that docs/logging.md lists.',
    { default: null },
  ),
  proxy_error_log: setting(
    errorLog,
    'Where the log of the gateway itself goes, as JSON lines: a path below the prefix, `/dev/stderr` or `/dev/stdout`.',
    {
      default: '/dev/stderr',
      aliases: ['error_log'],
    },
  ),
  log_mask_headers: setting(
    list(headerName),
    'Header fields that logs and traces show as `REDACTED`, besides `Authorization` and `Proxy-Authorization` of requests, which always are.',
    { default: '' },
  ),
  log_mask_arguments: setting(list(argumentName), 'Query arguments whose values logs and traces show as `REDACTED`.', {
    default: '',
  }),
  log_mask_fields: setting(
    list(recordPath),
    'Fields of the log record that log plugins send as `REDACTED`: names with dots between them, `*` for every member.',
    { default: '' },
  ),
  log_mask_patterns: setting(
    list(choice(maskPatterns)),
    'What logs and traces show as `REDACTED` wherever clients sent it: numbers of cards and accounts that add up, e-mail addresses, JSON Web Tokens.',
    { default: '' },
  ),
  log_mask_regex: setting(safeRegex, 'The same for an expression of your own, in the syntax of paths of routes.', {
    default: null,
  }),
  log_queue_memory: setting(
    size(1024 ** 2, 64 * 1024 ** 3),
    'Most that one worker keeps of entries which log and tracing plugins have yet to deliver; the oldest of a plugin give way.',
    { default: '128m' },
  ),
  metrics_max_routes: setting(
    integer(10, 100_000),
    'For how many pairs of service and route there are figures of their own in `/metrics`; what comes later is summed up in one.',
    { default: '2000' },
  ),
} as const
