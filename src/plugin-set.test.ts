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

const notBuilt = pluginSchemas.filter(({ name }) => !builtPlugins.some(({ schema }) => schema.name === name))
for (const { name } of notBuilt) {
  test(`${name}, which is not built, is passed over`, async () => {
    assert.deepEqual(await loadPluginSet({ plugins: [name], plugin_paths: [] }), [])
  })
}

test('a name that nobody knows is refused', async () => {
  await assert.rejects(loadPluginSet({ plugins: ['key-aut'], plugin_paths: [] }), {
    code: 'SETTINGS_INVALID',
    message: /did you mean 'key-auth'/,
  })
})
