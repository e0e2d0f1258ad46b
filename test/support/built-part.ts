/** Tools for tests that are built or installed from the registries of other languages, once, into the cache. */
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { cached } from './cache.ts'
import { runChild } from './process.ts'

/** Compiling from nothing on a slow machine, with all that is downloaded for it. */
const BUILD_TIMEOUT_MS = 600_000

async function run(
  command: string,
  args: readonly string[],
  cwd?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { code, output } = await runChild({
    command,
    args,
    env: { ...process.env, ...env },
    timeoutMs: BUILD_TIMEOUT_MS,
    ...(cwd !== undefined && { cwd }),
  })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with exit code ${code}\n${output.slice(-4_000)}`)
}

/** Where Go's own installer puts it, for shells whose PATH was not told. */
const USUAL_GO = '/usr/local/go/bin/go'

function goCommand(): string {
  const isOnPath = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(path.join(folder, 'go')))
  return !isOnPath && existsSync(USUAL_GO) ? USUAL_GO : 'go'
}

/**
 * The program built from the Go sources in `sources`, or from a package of the modules that they name; built anew when they change.
 * Needs a Go toolchain.
 */
export async function goProgram(sources: string, what = '.'): Promise<string> {
  const hash = createHash('sha256')
  for (const file of globSync('*', { cwd: sources }).toSorted()) {
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(path.join(sources, file)))
      .update('\0')
  }
  const name = path.basename(sources)
  const folder = await cached(`${name}_${hash.digest('hex').slice(0, 16)}_${process.arch}`, (into) =>
    run(
      goCommand(),
      ['build', '-mod=readonly', '-trimpath', '-buildvcs=false', '-o', path.join(into, name), what],
      sources,
    ),
  )
  return path.join(folder, name)
}

/** The program that a Go module has in the folder `name` of its commands. Needs a Go toolchain. */
export async function goTool(module: string, version: string): Promise<string> {
  const name = path.basename(module)
  const folder = await cached(`${name}_${version}_${process.arch}`, (into) =>
    run(goCommand(), ['install', '-trimpath', '-buildvcs=false', `${module}@${version}`], into, { GOBIN: into }),
  )
  return path.join(folder, name)
}

/**
 * A folder with the Python packages that a requirements file names with their versions, for PYTHONPATH: unlike a virtual
 * environment it can be moved to its place when it is whole. Needs Python with pip.
 */
export async function pythonPackages(name: string, requirements: string, python = 'python3'): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16)
  const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--requirement', requirements]
  return await cached(`${name}_${hash}_${process.arch}`, (into) =>
    run(python, ['-m', 'pip', 'install', ...options, '--target', into]),
  )
}

/** A folder with the jars that a Maven project file depends on. Needs Maven. */
export async function mavenJars(name: string, pom: string): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 16)
  return await cached(`${name}_${hash}`, (into) =>
    run('mvn', [
      '-B',
      '-q',
      '-f',
      pom,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${into}`,
      '-DincludeScope=runtime',
    ]),
  )
}

/** An archive that Maven's repository has, such as `org.example:what:1.0:zip`. Needs Maven. */
export async function mavenArchive(artifact: string): Promise<string> {
  const [, name = '', version = '', type = ''] = artifact.split(':')
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
  const folder = await cached(`${name}_${version}`, (into) =>
    run('mvn', ['-B', '-q', copy, `-Dartifact=${artifact}`, `-DoutputDirectory=${into}`]),
  )
  return path.join(folder, `${name}-${version}.${type}`)
}

/** The folder of an npm package with what it depends on; what is optional or wants to run something is left out. */
export async function npmPackage(name: string, version: string): Promise<string> {
  const folder = await cached(`${name.replaceAll('/', '_')}_${version}`, (into) =>
    run(
      'npm',
      [
        'install',
        '--prefix',
        into,
        '--ignore-scripts',
        '--omit=optional',
        '--no-audit',
        '--no-fund',
        `${name}@${version}`,
      ],
      into,
    ),
  )
  return path.join(folder, 'node_modules', name)
}
