import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { openPluginLoader } from './loader.ts'
import { fakeExchange, prepare } from './testing.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-loader-'))
const loader = openPluginLoader()
after(() => {
  loader.close()
  rmSync(folder, { recursive: true })
})

function write(name: string, text: string): string {
  const file = path.join(folder, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

const SUNSET = `
import { definePlugin, definePluginSchema, t, type Exchange } from 'meridian/pdk'

export const sunset = definePlugin({
  schema: definePluginSchema({
    name: 'sunset', priority: 820, version: '1.0.0',
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: { message: t.string({ default: 'This API is no longer served' }) },
  }),
  prepare: (config) => ({ message: config.message }),
  access: (exchange: Exchange, { message }) => exchange.fail(410, message ?? ''),
})
`

test('loads a plugin in TypeScript that imports meridian/pdk', async () => {
  const plugin = await loader.load(write('sunset.ts', SUNSET))
  assert.equal(plugin.schema.name, 'sunset')
  const state: unknown = prepare(plugin, {})
  assert.partialDeepStrictEqual(plugin.access?.(fakeExchange(), state), {
    status: 410,
    message: 'This API is no longer served',
  })
})

test('loads a plugin in JavaScript from its default export', async () => {
  const text = SUNSET.replace('export const sunset =', 'export default')
    .replace(', type Exchange', '')
    .replace(': Exchange', '')
  assert.equal((await loader.load(write('sunset.mjs', text))).schema.name, 'sunset')
})

test('loads by a path relative to the working folder', async () => {
  const file = write('relative.mts', SUNSET)
  assert.equal((await loader.load(path.relative(process.cwd(), file))).schema.name, 'sunset')
})

const SCHEMA = `{ name: 'x', priority: 1, config: {} }`
const WRONG: readonly (readonly [name: string, text: string, reason: RegExp])[] = [
  ['empty.js', 'export {}', /got no exports/],
  ['other.mjs', 'export const a = 1, b = 2', /got exports without a plugin \(a, b\)/],
  ['two.mjs', `export const a = { schema: ${SCHEMA} }, b = { schema: ${SCHEMA} }`, /got 2 plugins \(a, b\)/],
  ['default.mjs', 'export default function () {}', /got a default export that is a function/],
  ['syntax.mjs', 'export default {', /SyntaxError: Unexpected end of input/],
  ['throws.mjs', "throw new TypeError('no luck')", /TypeError: no luck/],
  ['imports.mjs', "import 'meridian/nothing'", /failed while it was loaded: .*meridian/],
  ['enum.ts', 'enum Colour { Red }\nexport default Colour', /no enum, namespace/],
  ['plugin.txt', '', /expected a file ending in \.ts/],
  ['node_modules/pkg/plugin.ts', 'export default {}', /not run from a node_modules folder/],
  ['noschema.mjs', 'export default { schema: 5 }', /schema: expected definePluginSchema.*got a number/],
  [
    'name.mjs',
    `export default { schema: { name: 'My Plugin' } }`,
    /schema\.name: expected lower-case .*got "My Plugin"/,
  ],
  [
    'priority.mjs',
    `export default { schema: { name: 'x', priority: '1' } }`,
    /schema\.priority: expected a number, got a string/,
  ],
  [
    'config.mjs',
    `export default { schema: { name: 'x', priority: 1 } }`,
    /schema\.config: expected an object of fields, got nothing/,
  ],
  ['prepare.mjs', `export default { schema: ${SCHEMA} }`, /prepare: expected a function, got nothing/],
  ['nophase.mjs', `export default { schema: ${SCHEMA}, prepare() {} }`, /expected at least one of rewrite, access/],
  [
    'phase.mjs',
    `export default { schema: ${SCHEMA}, prepare() {}, access: 1 }`,
    /access: expected a function, got a number/,
  ],
  [
    'typo.mjs',
    `export default { schema: ${SCHEMA}, prepare() {}, header_filter() {} }`,
    /header_filter: expected one of rewrite, access/,
  ],
]
for (const [name, text, reason] of WRONG) {
  test(`names the file and what is wrong with ${name}`, async () => {
    const file = write(name, text)
    await assert.rejects(loader.load(file), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'PLUGIN_INVALID')
      assert.ok(error.message.includes(file), error.message)
      assert.match(error.message, reason)
      return true
    })
  })
}

test('names a file that is not there', async () => {
  await assert.rejects(loader.load(path.join(folder, 'missing.ts')), /missing\.ts: there is no such file/)
})

test('resolves its modules until it is closed', async () => {
  const pdk = new URL('./pdk.ts', import.meta.url).href
  const other = openPluginLoader({ 'meridian/one': pdk, 'meridian/two': pdk })
  const one = 'meridian/one'
  const two = 'meridian/two'
  assert.ok('definePlugin' in ((await import(one)) as object))
  other.close()
  await assert.rejects(import(two) as Promise<unknown>, { code: 'ERR_MODULE_NOT_FOUND' })
})
