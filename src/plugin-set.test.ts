import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtPlugins } from '#plugins/index.ts'
import { pluginSchemas } from '#plugins/schemas.ts'
import { loadPluginSet } from './plugin-set.ts'

test('every bundled plugin can be chosen by its name', async () => {
  for (const { schema } of builtPlugins) {
    const chosen = await loadPluginSet({ plugins: [schema.name], plugin_paths: [] })
    assert.deepEqual(
      chosen.map((plugin) => plugin.schema.name),
      [schema.name],
    )
  }
})

test('every plugin whose configuration is known can run', () => {
  const built = new Set(builtPlugins.map(({ schema }) => schema.name))
  assert.deepEqual(
    pluginSchemas.filter(({ name }) => !built.has(name)).map(({ name }) => name),
    [],
  )
})

test('a name that nobody knows is refused', async () => {
  await assert.rejects(loadPluginSet({ plugins: ['key-aut'], plugin_paths: [] }), {
    code: 'SETTINGS_INVALID',
    message: /did you mean 'key-auth'/,
  })
})
