/** What files may write in another form: encoded paths; in formats 1.1 and 2.1 regexes without `~`, and old names of plugin fields. */
import { normalizePath } from '#core/normal-path.ts'
import { isRecord, type Values } from '../record.ts'
import type { FormatVersion } from './format.ts'

/** The entity as format 3.0 writes it. */
export function modernize(kind: string, entity: Readonly<Values>, version: FormatVersion): Readonly<Values> {
  if (kind === 'routes') return modernizeRoute(entity, version === '3.0' ? normalizePlain : modernizePath)
  return kind === 'plugins' && version !== '3.0' ? modernizePlugin(entity) : entity
}

/** Lists that had another name. */
export const OLD_LISTS: Readonly<Record<string, string>> = { vaults_beta: 'vaults' }

function modernizeRoute(route: Readonly<Values>, change: (path: string) => string): Readonly<Values> {
  const { paths } = route
  if (!Array.isArray(paths)) return route
  return { ...route, paths: paths.map((path: unknown) => (typeof path === 'string' ? change(path) : path)) }
}

/** An encoded path means what its normal form means. The Admin API asks for that form; a file need not have it. */
function normalizePlain(path: string): string {
  const isPlain = path.startsWith('/') && path.includes('%') && !/%(?![0-9A-Fa-f]{2})/.test(path)
  return isPlain ? normalizePath(path) : path
}

/** Kong 2 took a path for a regex when it had any other character than these. */
const PLAIN_PATH = /^[a-zA-Z0-9.\-_~/%]*$/

/** `/a+` becomes `~/a+`; plain paths are brought into their normal form, which version 3 demands. */
export function modernizePath(path: string): string {
  if (path.startsWith('~/')) return path
  return PLAIN_PATH.test(path) ? normalizePath(path) : `~${decodeRegex(path)}`
}

/** Kong 2 decoded percent-encoding in regexes too; a decoded character that means something there is escaped, so that it still stands for itself. */
function decodeRegex(regex: string): string {
  return regex.replaceAll(/%([0-9A-Fa-f]{2})/g, (triplet, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    if (/[\w~-]/.test(character)) return character
    return character === '.' ? '\\.' : triplet.toUpperCase()
  })
}

function modernizePlugin(plugin: Readonly<Values>): Readonly<Values> {
  // Formats of Kong 1 say on which node of a service mesh a plugin runs.
  const { run_on: _runOn, ...rest } = plugin
  const change = isRecord(plugin['config']) && typeof plugin['name'] === 'string' ? CONFIGS[plugin['name']] : undefined
  return change === undefined ? rest : { ...rest, config: change(plugin['config'] as Values) }
}

type Change = (config: Readonly<Values>) => Values

const ALLOW_DENY: Change = (config) => rename(config, { whitelist: 'allow', blacklist: 'deny' })
const FUNCTIONS: Change = (config) => rename(config, { functions: 'access' })

const CONFIGS: Readonly<Record<string, Change>> = {
  acl: ALLOW_DENY,
  'bot-detection': ALLOW_DENY,
  'ip-restriction': ALLOW_DENY,
  'pre-function': FUNCTIONS,
  'post-function': FUNCTIONS,
  'aws-lambda': ({ proxy_scheme: _proxyScheme, ...rest }) => rest,
  // A header had a list of values; the first one was sent.
  'http-log': (config) =>
    isRecord(config['headers'])
      ? {
          ...config,
          headers: Object.fromEntries(
            Object.entries(config['headers']).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
          ),
        }
      : { ...config },
}

/** A field that is given under its new name keeps it. */
function rename(config: Readonly<Values>, names: Readonly<Record<string, string>>): Values {
  const renamed: Values = {}
  for (const [name, value] of Object.entries(config)) {
    const to = names[name]
    if (to === undefined) renamed[name] = value
    else if (config[to] === undefined) renamed[to] = value
  }
  return renamed
}
