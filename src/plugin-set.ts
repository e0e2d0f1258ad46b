/** Which plugins this node runs: those of `plugins`, and the operator's own from `plugin_paths`. The same in every thread. */
import { GatewayError } from '#core/errors.ts'
import { nearestName } from '#core/nearest.ts'
import type { Settings } from '#model/settings.ts'
import { openPluginLoader } from '#pdk/loader.ts'
import type { AnyPlugin } from '#pdk/pdk.ts'
import { builtPlugins } from '#plugins/index.ts'

/** Rejects with SETTINGS_INVALID or PLUGIN_INVALID. */
export async function loadPluginSet(
  settings: Pick<Settings, 'plugins' | 'plugin_paths'>,
): Promise<readonly AnyPlugin[]> {
  const own: AnyPlugin[] = []
  if (settings.plugin_paths.length > 0) {
    const loader = openPluginLoader()
    for (const file of settings.plugin_paths) own.push(await loader.load(file))
  }
  const bundled = new Map(builtPlugins.map((plugin) => [plugin.schema.name, plugin]))
  const taken = own
    .map(({ schema }) => schema.name)
    .find((name, at, names) => bundled.has(name) || names.indexOf(name) !== at)
  if (taken !== undefined)
    throw new GatewayError(
      'PLUGIN_INVALID',
      `plugin_paths: expected a name that no other plugin has, got '${taken}' again`,
    )
  if (settings.plugins.includes('off')) return []
  if (settings.plugins.includes('bundled')) return [...builtPlugins, ...own]
  return [...named(settings.plugins, bundled, own), ...own]
}

/** The bundled ones that are named; the operator's own run in any case. */
function named(
  names: readonly string[],
  bundled: ReadonlyMap<string, AnyPlugin>,
  own: readonly AnyPlugin[],
): AnyPlugin[] {
  const known = new Set([...bundled.keys(), ...own.map(({ schema }) => schema.name)])
  return names.flatMap((name) => {
    if (!known.has(name)) {
      const nearest = nearestName(name, [...known])
      throw new GatewayError(
        'SETTINGS_INVALID',
        `plugins: expected bundled, off or names of plugins, got '${name}'${nearest === null ? '' : ` (did you mean '${nearest}'?)`}`,
      )
    }
    const plugin = bundled.get(name)
    return plugin === undefined ? [] : [plugin]
  })
}
