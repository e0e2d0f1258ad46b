import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

const ROOT = path.resolve(import.meta.dirname, '..')

/** What each folder of src/ may import, besides itself and `core`. The arrows go one way, so every change has a home. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  install: ['model', 'cli'],
  model: [],
  http: [],
  telemetry: ['model'],
  vaults: ['model'],
  store: ['model', 'telemetry'],
  cluster: ['model', 'telemetry'],
  router: ['model', 'http'],
  balancer: ['model', 'telemetry'],
  upstream: ['model', 'http', 'telemetry'],
  pdk: ['model', 'http', 'telemetry'],
  plugins: ['pdk'],
  snapshot: ['model', 'store', 'router', 'balancer', 'upstream', 'pdk', 'telemetry', 'vaults'],
  proxy: ['model', 'http', 'router', 'balancer', 'upstream', 'pdk', 'snapshot', 'telemetry'],
  listen: ['model', 'http', 'telemetry'],
  stream: ['model', 'http', 'balancer', 'upstream', 'pdk', 'snapshot', 'proxy', 'listen', 'telemetry'],
  admin: ['model', 'http', 'store', 'snapshot', 'cluster', 'telemetry'],
  acme: ['model', 'store', 'pdk', 'telemetry'],
  cli: ['model', 'store', 'admin', 'telemetry'],
}

/**
 * A plugin's schema and entities are definitions like the model's own: the main thread loads them all, for Admin API
 * and store, without the rest of the plugin kit.
 */
const PLUGIN_DEFINITION = /^src\/plugins\/[^/]+\/(schema|entities)\.ts$/

/**
 * The files right in src/ build things and hand them to each other: for the main thread, for a worker, and what the two
 * say to each other. They may import everything.
 */
const isRoot = (file: string) => file.split('/').length === 2

/** Names that say nothing about the one idea in the file. */
const MEANINGLESS_NAMES = /^(utils?|helpers?|common|misc|types|shared|index)\.ts$/
/** Lists of what a folder holds, one line for each: not barrels, because they export a list and not its parts. */
const LISTS = ['src/plugins/index.ts', 'src/model/entities/index.ts']

interface SourceFile {
  /** From the root, with `/`. */
  readonly file: string
  readonly folder: string
  readonly text: string
  readonly imports: readonly string[]
  /** Those that are there at run time: `import type` leaves nothing behind. */
  readonly runtimeImports: readonly string[]
}

const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g

function readSources(): SourceFile[] {
  return globSync('src/**/*.ts', { cwd: ROOT })
    .filter((file) => !file.endsWith('.test.ts') && !file.endsWith('.d.ts'))
    .toSorted()
    .map((file) => {
      const text = readFileSync(path.join(ROOT, file), 'utf8')
      const runtimeText = text.replaceAll(/^(?:import|export) type [^;]*? from '[^']+'/gm, '')
      return {
        file,
        folder: file.split('/')[1] ?? '',
        text,
        imports: importsOf(text),
        runtimeImports: importsOf(runtimeText),
      }
    })
}

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map(([, fixed, dynamic]) => fixed ?? dynamic ?? '')
}

const description = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
  readonly imports: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
}

/** The file that an import names, from the root; null for a package or a part of Node. */
function resolveImport(from: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return path.posix.join(path.posix.dirname(from), specifier)
  if (!specifier.startsWith('#')) return null
  return (description.imports[specifier] ?? `src/${specifier.slice(1)}`).replace(/^\.\//, '')
}

const sources = readSources()

test('every folder of src/ stands in the table of what may import what', () => {
  const folders = new Set(sources.filter(({ file }) => !isRoot(file)).map(({ folder }) => folder))
  assert.deepEqual(
    [...folders].filter((folder) => !(folder in MAY_IMPORT)),
    [],
  )
})

test('folders import only what the table allows, and the table has no cycle', () => {
  const wrong: string[] = []
  for (const { file, folder, imports } of sources) {
    if (isRoot(file)) continue
    for (const specifier of imports) {
      const target = resolveImport(file, specifier)?.split('/')[1]
      if (!target || target === folder || target === 'core' || MAY_IMPORT[folder]?.includes(target)) continue
      if (target === 'model' && PLUGIN_DEFINITION.test(file)) continue
      wrong.push(`${file} imports ${specifier}`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual(findCycle(new Map(Object.entries(MAY_IMPORT))), null)
})

test('imports start with # across folders and are relative inside one, so that every crossing can be seen', () => {
  const wrong: string[] = []
  for (const { file, folder, imports } of sources) {
    if (isRoot(file)) continue
    for (const specifier of imports) {
      const target = resolveImport(file, specifier)
      if (target === null) continue
      const isInside = target.split('/')[1] === folder
      // A folder below may name its parent's files from the top: `#model/schema.ts` in src/model/entities/.
      const isFromBelow = isInside && path.posix.dirname(file) !== `src/${folder}`
      if (specifier.startsWith('#') === isInside && !isFromBelow) wrong.push(`${file} imports ${specifier}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('no file imports itself by way of others', () => {
  const graph = new Map(
    sources.map(({ file, runtimeImports }) => [
      file,
      runtimeImports.map((specifier) => resolveImport(file, specifier)).filter((target) => target !== null),
    ]),
  )
  assert.deepEqual(findCycle(graph), null)
})

test('the product imports Node and its declared dependencies, nothing that only development installs', () => {
  const wrong: string[] = []
  for (const { file, imports } of sources) {
    if (file.startsWith('src/install/')) continue
    for (const specifier of imports) {
      if (resolveImport(file, specifier) !== null || specifier.startsWith('node:')) continue
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
      if (!(name in description.dependencies)) wrong.push(`${file} imports ${specifier}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('file names say one idea, and there are no barrels', () => {
  const wrong = sources
    .map(({ file }) => file)
    .filter((file) => MEANINGLESS_NAMES.test(path.basename(file)) && !LISTS.includes(file))
  assert.deepEqual(wrong, [])
})

test('the environment is read only where things are put together', () => {
  const wrong = sources
    .filter(({ file, folder, text }) => !isRoot(file) && folder !== 'install' && /\bprocess\.env\b/.test(text))
    .map(({ file }) => file)
  assert.deepEqual(wrong, [])
})

test('importing a file reads no clock, draws no random number and starts no timer', () => {
  const impure =
    /^(?:export )?(?:const|let) [^=]*= (?!.*=>)(?!function).*\b(?:Date\.now|performance\.now|Math\.random|randomUUID|randomBytes|setInterval|setTimeout)\(/m
  const wrong = sources.filter(({ file, text }) => !isRoot(file) && impure.test(text)).map(({ file }) => file)
  assert.deepEqual(wrong, [])
})

test('nothing in the sources is marked as left undone', () => {
  const wrong = sources.filter(({ text }) => /\b(?:TODO|FIXME|XXX)\b/.test(text)).map(({ file }) => file)
  assert.deepEqual(wrong, [])
})

/** One cycle as the names along it; null when there is none. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>()
  const visit = (node: string, trail: readonly string[]): string[] | null => {
    const at = trail.indexOf(node)
    if (at >= 0) return [...trail.slice(at), node]
    if (done.has(node)) return null
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...trail, node])
      if (cycle) return cycle
    }
    done.add(node)
    return null
  }
  for (const node of graph.keys()) {
    const cycle = visit(node, [])
    if (cycle) return cycle
  }
  return null
}
