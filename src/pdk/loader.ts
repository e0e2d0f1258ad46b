/** Loads operators' own plugins from files, in TypeScript or JavaScript, which import the kit as `meridian/pdk`. */
import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { GatewayError } from '#core/errors.ts'
import type { AnyPlugin } from './pdk.ts'

export interface PluginLoader {
  /**
   * The plugin that the file exports: as its default, else as its only export that is one.
   * @throws {GatewayError} PLUGIN_INVALID, naming the file and what was expected of it
   */
  load(file: string): Promise<AnyPlugin>
  /** Ends the resolution of `meridian/pdk`; plugins that import it later fail then. */
  close(): void
}

/** What operators' files import, and the modules of this gateway that they get. */
const DOORS: Readonly<Record<string, string>> = {
  'meridian/pdk': new URL('./pdk.ts', import.meta.url).href,
  'meridian/pdk/testing': new URL('./testing.ts', import.meta.url).href,
}

/** For this thread: each worker opens its own. */
export function openPluginLoader(doors: Readonly<Record<string, string>> = DOORS): PluginLoader {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      next(Object.hasOwn(doors, specifier) ? doors[specifier]! : specifier, context),
  })
  return { load, close: () => hooks.deregister() }
}

async function load(file: string): Promise<AnyPlugin> {
  const absolute = path.resolve(file)
  if (!existsSync(absolute)) throw invalid(absolute, 'there is no such file')
  let exports: Readonly<Record<string, unknown>>
  try {
    exports = (await import(pathToFileURL(absolute).href)) as Readonly<Record<string, unknown>>
  } catch (error) {
    throw invalid(absolute, reasonOf(error), error)
  }
  const plugin = findPlugin(absolute, exports)
  const problem = problemOf(plugin)
  if (problem !== null) throw invalid(absolute, problem)
  return plugin
}

const EXPECTED = 'expected `export default definePlugin({ schema, prepare, access, ... })`'

function findPlugin(file: string, exports: Readonly<Record<string, unknown>>): AnyPlugin {
  if ('default' in exports) {
    if (isPluginLike(exports['default'])) return exports['default']
    throw invalid(file, `${EXPECTED}, got a default export that is ${describe(exports['default'])}`)
  }
  const names = Object.keys(exports)
  const found = names.filter((name) => isPluginLike(exports[name]))
  if (found.length === 1) return exports[found[0]!] as AnyPlugin
  const got =
    found.length > 1
      ? `${found.length} plugins (${found.join(', ')})`
      : names.length > 0
        ? `exports without a plugin (${names.join(', ')})`
        : 'no exports'
  throw invalid(file, `${EXPECTED}, got ${got}`)
}

function isPluginLike(value: unknown): value is AnyPlugin {
  return typeof value === 'object' && value !== null && 'schema' in value
}

const PHASES = ['rewrite', 'access', 'responseHeaders', 'responseBody', 'responseEncoding', 'log']
const FIELDS = new Set([...PHASES, 'schema', 'entities', 'prepare', 'refuse', 'close'])

/** What is wrong with the shape: types do not protect a file in JavaScript. */
function problemOf(plugin: AnyPlugin): string | null {
  const { schema } = plugin as { readonly schema: unknown }
  if (typeof schema !== 'object' || schema === null)
    return `schema: expected definePluginSchema({ ... }), got ${describe(schema)}`
  const { name, priority, config } = schema as Readonly<Record<string, unknown>>
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9_-]*$/.test(name)) {
    return `schema.name: expected lower-case letters, digits, '-' and '_', got ${JSON.stringify(name)}`
  }
  if (typeof priority !== 'number' || !Number.isFinite(priority))
    return `schema.priority: expected a number, got ${describe(priority)}`
  if (typeof config !== 'object' || config === null)
    return `schema.config: expected an object of fields, got ${describe(config)}`
  if (typeof plugin.prepare !== 'function') return `prepare: expected a function, got ${describe(plugin.prepare)}`
  const unknown = Object.keys(plugin).find((field) => !FIELDS.has(field))
  if (unknown !== undefined) return `${unknown}: expected one of ${[...FIELDS].join(', ')}`
  const present = PHASES.filter((phase) => plugin[phase as keyof AnyPlugin] !== undefined)
  if (present.length === 0) return `expected at least one of ${PHASES.join(', ')}`
  const wrong = present.find((phase) => typeof plugin[phase as keyof AnyPlugin] !== 'function')
  return wrong === undefined ? null : `${wrong}: expected a function, got ${describe(plugin[wrong as keyof AnyPlugin])}`
}

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  switch ((error as { readonly code?: unknown } | null)?.code) {
    case 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING':
      return `TypeScript is not run from a node_modules folder; put the file elsewhere or compile it to JavaScript (${message})`
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return `only TypeScript that is JavaScript with types can run: no enum, namespace or parameter properties (${message})`
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return `expected a file ending in .ts, .mts, .js or .mjs (${message})`
    default:
      return `it failed while it was loaded: ${message}`
  }
}

function invalid(file: string, reason: string, cause?: unknown): GatewayError {
  return new GatewayError('PLUGIN_INVALID', `plugin ${file}: ${reason}`, { cause })
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
