/** Validators of names, paths, headers and other texts. */
import { normalizePath } from '#core/normal-path.ts'
import { compileSafeRegex } from '#core/pcre.ts'
import { compileTemplate } from '#core/template.ts'
import { splitUrl } from './service-url.ts'
import type { Validator } from './validators.ts'

export const textValidators: Readonly<Record<string, Validator>> = {
  name_ascii: (value: string) =>
    /^[\w.\-~]+$/.test(value)
      ? null
      : `invalid value '${value}': it must only contain alphanumeric and '., -, _, ~' characters`,
  name_utf8(value: string) {
    const at = illFormedAt(value)
    if (at !== null) return `invalid utf-8 character sequence detected at position ${at}`
    return /^[\w.\-~\u0080-\u{10ffff}]+$/u.test(value)
      ? null
      : `invalid value '${value}': the only accepted ascii characters are alphanumerics or ., -, _, and ~`
  },
  tag(value: string) {
    const at = illFormedAt(value)
    if (at !== null) return `invalid utf-8 character sequence detected at position ${at}`
    return /^[ -+\-.0-~\u0080-\u{10ffff}]+$/u.test(value)
      ? null
      : `invalid tag '${value}': expected printable ascii (except \`,\` and \`/\`) or valid utf-8 sequences`
  },
  uri_path(value: string) {
    if (!/^[\w.\-~!$&'()*+,;=:@/%]+$/.test(value)) {
      return `invalid path: '${value}' (characters outside of the reserved list of RFC 3986 found)`
    }
    return badPercent(value)
  },
  route_path(value: string) {
    const wrong = badPercent(value)
    if (wrong !== null) return wrong
    if (!value.startsWith('~')) {
      const normal = normalizePath(value)
      return normal === value ? null : `non-normalized path, consider use '${normal}' instead`
    }
    const regex = value.slice(1)
    const compiled = compileSafeRegex(regex)
    return compiled.ok ? null : `invalid regex: '${regex}' (PCRE returned: ${pcreError(regex, compiled.reason)})`
  },
  url(value: string) {
    const { host, scheme } = splitUrl(value)
    if (host === null) return 'missing host in url'
    return scheme === null ? 'missing scheme in url' : null
  },
  redirect_uri(value: string) {
    const { host, scheme } = splitUrl(value)
    if (host === null || scheme === null) return `cannot parse '${value}'`
    return value.includes('#') ? `fragment not allowed in '${value}'` : null
  },
  header_name: (value) => headerName(value),
  http_token: (value: string) =>
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    /[\x00-\x20\x7f()<>@,;:\\"/?={}[\]]/.test(value)
      ? 'contains one or more invalid characters. ASCII control characters (0-31;127), space, tab and the characters ()<>@,;:\\"/?={}[] are not allowed.'
      : null,
  cors_origin: (value: string) =>
    value === '*' || compileSafeRegex(value).ok ? null : `'${value}' is not a valid regex`,
  header_pair(value: string) {
    const name = value.split(':')[0]!
    return headerName(name) === null ? null : `'${name}' is not a valid header`
  },
  header_pair_both(value: string) {
    const colon = value.indexOf(':')
    for (const name of [value.slice(0, colon), value.slice(colon + 1)])
      if (headerName(name) !== null) return `'${name}' is not a valid header`
    return null
  },
  transform_value(value: string) {
    const [, name, content] = /^([^:]*):*(.*)$/s.exec(value)!
    if (content === '') return `key '${name}' has no value`
    const compiled = compileTemplate(content!)
    return compiled.ok ? null : `value '${content}' is not in supported format, error:${compiled.reason}`
  },
  log_field_value(value: string) {
    const compiled = compileTemplate(value)
    if (!compiled.ok) return compiled.reason
    const unknown = [...compiled.template.names].find((name) => !LOG_FIELD_NAMES.has(name))
    return unknown === undefined
      ? null
      : `expected names of the log record (${[...LOG_FIELD_NAMES].join(', ')}), got '${unknown}'`
  },
  lua_expression: () => LUA_EXPRESSION,
  lua_function: () => LUA,
}

/** What `custom_fields` of log plugins may look into: the log record, and what requests carry besides. */
const LOG_FIELD_NAMES: ReadonlySet<string> = new Set(
  'request response latencies tries route service consumer authenticated_entity client_ip started_at source upstream_uri upstream_status workspace workspace_name correlation_id headers query_params uri_captures shared'.split(
    ' ',
  ),
)

const LUA_EXPRESSION =
  'Lua code cannot run in this gateway; use custom_fields, whose values are templates such as $(request.headers.x_tenant), and remove this field'

const LUA =
  'Lua code cannot run in this gateway; write the same as an operator plugin in TypeScript (loaded by path, see the plugin kit) and remove this field'

export function headerName(value: string): string | null {
  if (value === '') return 'no header name provided'
  if (/^[\w-]+$/.test(value)) return null
  return `bad header name '${value}', allowed characters are A-Z, a-z, 0-9, '_', and '-'`
}

/** Where the first half of a pair stands alone (from 1), or null: such a text has no UTF-8 form. */
function illFormedAt(value: string): number | null {
  if (value.isWellFormed()) return null
  let bytes = 0
  for (const character of value) {
    if (!character.isWellFormed()) return bytes + 1
    bytes += Buffer.byteLength(character)
  }
  return bytes + 1
}

/** In the words of nginx: the place is told by what is left of the expression there, unless it is the end. */
function pcreError(regex: string, reason: string): string {
  const [, what, place] = /^(.*) at character (\d+)$/s.exec(reason) ?? [null, reason, null]
  const rest = place === null ? '' : regex.slice(Number(place) - 1)
  return `pcre_compile() failed: ${what} in "${regex}"${rest === '' ? '' : ` at "${rest}"`}`
}

function badPercent(value: string): string | null {
  const bad = /%(?![0-9A-Fa-f]{2}).{0,2}/s.exec(value)
  return bad === null ? null : `invalid url-encoded value: '${bad[0]}'`
}
