/**
 * `npm run build`: bundles the published package into dist/. tsc can't do it, because it doesn't rewrite `#` imports;
 * bundled, the package needs nothing but Node itself, and an image holds nothing but the package.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build, type Metafile, type Plugin } from 'esbuild'

const ROOT = path.resolve(import.meta.dirname, '..', '..')

/** What the package has doors for, by the name of its file in dist/. Threads are started from files of their own. */
const ENTRY_POINTS = {
  main: 'src/main.ts',
  worker: 'src/worker-entry.ts',
  pdk: 'src/pdk/pdk.ts',
  'pdk-testing': 'src/pdk/testing.ts',
  'schema-library': 'src/plugins/request-validator/schema-library.ts',
}

interface Description {
  readonly version: string
  readonly description: string
  readonly license: string
  readonly optionalDependencies: Readonly<Record<string, string>>
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string', default: path.join(ROOT, 'dist') } } })
  const out = path.resolve(values.out)
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const metafile = await bundle(out)
  declareTypes(path.join(out, 'types'))
  writeDescription(out)
  for (const file of ['LICENSE', 'README.md']) {
    if (existsSync(path.join(ROOT, file))) copyFileSync(path.join(ROOT, file), path.join(out, file))
  }
  copyFileSync(
    fileURLToPath(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm')),
    path.join(out, 'quickjs.wasm'),
  )
  cpSync(path.join(ROOT, 'cql'), path.join(out, 'cql'), { recursive: true })
  writeFileSync(path.join(out, 'THIRD-PARTY-LICENSES.txt'), thirdPartyLicenses(metafile))
  chmodSync(path.join(out, 'main.js'), 0o755)
}

async function bundle(out: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRY_POINTS,
    outdir: out,
    bundle: true,
    splitting: true,
    chunkNames: 'chunk-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node26',
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
    plugins: [siblings, namesOfCommonJs],
    // Some dependencies are CommonJS and require Node's own modules.
    banner: {
      js: "import { createRequire as bundledRequire } from 'node:module';const require = bundledRequire(import.meta.url);",
    },
  })
  const script = path.join(out, 'main.js')
  const text = readFileSync(script, 'utf8')
  if (!text.startsWith('#!')) writeFileSync(script, `#!/usr/bin/env node\n${text}`)
  return metafile
}

/** `new URL('../worker.ts', import.meta.url)` names an entry point's file, or package.json; in dist/ they all lie side by side. */
const siblings: Plugin = {
  name: 'siblings',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path: file }) => {
      const contents = (await readFile(file, 'utf8')).replaceAll(
        /new URL\('(\.[^']+)', import\.meta\.url\)/g,
        (_, target: string) => `new URL('./${siblingOf(path.resolve(path.dirname(file), target))}', import.meta.url)`,
      )
      return { contents, loader: 'ts' }
    })
  },
}

function siblingOf(file: string): string {
  if (file === path.join(ROOT, 'package.json')) return 'package.json'
  if (file === path.join(ROOT, 'cql')) return 'cql'
  // Put into dist/ by `main`.
  if (path.basename(file) === 'quickjs.wasm') return 'quickjs.wasm'
  const found = Object.entries(ENTRY_POINTS).find(([, source]) => path.join(ROOT, source) === file)
  if (!found) throw new Error(`${file} is reached by its URL, so it has to be one of the entry points of the build`)
  return `${found[0]}.js`
}

/**
 * `await import('package')` of a CommonJS package gives its names in Node, which finds them in the source; esbuild gives
 * only `default`. So such an import goes by way of a module that says the names that Node finds.
 */
const namesOfCommonJs: Plugin = {
  name: 'names-of-commonjs',
  setup({ onLoad, onResolve }) {
    const namespace = 'names-of-commonjs'
    onResolve({ filter: /^[^.#/]/ }, ({ kind, path: specifier, namespace: from }) => {
      if (kind !== 'dynamic-import' || from === namespace || specifier.startsWith('node:')) return undefined
      return { path: specifier, namespace }
    })
    onLoad({ filter: /.*/, namespace }, async ({ path: specifier }) => {
      const names = Object.keys((await import(specifier)) as object)
      // Node adds this name to every CommonJS module.
      if (!names.includes('module.exports')) {
        // The star leaves that one out.
        const own = names.includes('default') ? `export { default } from '${specifier}'` : ''
        return { contents: `export * from '${specifier}'\n${own}`, resolveDir: ROOT }
      }
      const own = names.filter((name) => name !== 'default' && /^[\w$]+$/.test(name))
      const contents = `import whole from '${specifier}'\nexport default whole\nexport const { ${own.join(', ')} } = whole`
      return { contents, resolveDir: ROOT }
    })
  },
}

/** Declarations for those who write plugins in TypeScript; their `#` imports resolve by the package's own `imports`. */
function declareTypes(out: string): void {
  const compiler = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const project = path.join(ROOT, 'node_modules', '.cache', 'tsconfig.types.json')
  mkdirSync(path.dirname(project), { recursive: true })
  const compilerOptions = {
    noEmit: false,
    emitDeclarationOnly: true,
    declaration: true,
    rewriteRelativeImportExtensions: false,
    rootDir: path.join(ROOT, 'src'),
    outDir: out,
  }
  const files = [ENTRY_POINTS.pdk, ENTRY_POINTS['pdk-testing']].map((file) => path.join(ROOT, file))
  writeFileSync(
    project,
    JSON.stringify({ extends: path.join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files }),
  )
  execFileSync(process.execPath, [compiler, '-p', project], { cwd: ROOT, stdio: ['ignore', 2, 2] })
}

function writeDescription(out: string): void {
  const source = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Description
  const { version, description, license } = source
  const door = (types: string, file: string) => ({ types: `./types/pdk/${types}.d.ts`, default: `./${file}.js` })
  const published = {
    name: 'meridian',
    version,
    description,
    license,
    type: 'module',
    engines: { node: `>=${Object.values(source.optionalDependencies)[0]?.split('.')[0]}` },
    bin: { meridian: './main.js' },
    exports: {
      './pdk': door('pdk', 'pdk'),
      './pdk/testing': door('testing', 'pdk-testing'),
      './package.json': './package.json',
    },
    imports: { '#pdk': './types/pdk/pdk.d.ts', '#pdk/testing': './types/pdk/testing.d.ts', '#*.ts': './types/*.d.ts' },
  }
  writeFileSync(path.join(out, 'package.json'), `${JSON.stringify(published, null, 2)}\n`)
}

/** The texts that the licenses of what was bundled ask to be passed on. */
function thirdPartyLicenses(metafile: Metafile): string {
  const packages = new Set<string>()
  for (const file of Object.keys(metafile.inputs)) {
    const found = /^node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(file)
    if (found) packages.add(found[0])
  }
  return [...packages]
    .toSorted()
    .map((folder) => {
      const read = (file: string) => readFileSync(path.join(ROOT, folder, file), 'utf8')
      const { name, version, license } = JSON.parse(read('package.json')) as Record<string, string>
      const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'LICENCE', 'License.md'].find((file) =>
        existsSync(path.join(ROOT, folder, file)),
      )
      return `${name} ${version} (${license})\n\n${file ? read(file).trim() : `Licensed under ${license}.`}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}

await main()
