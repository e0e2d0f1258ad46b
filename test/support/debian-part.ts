/** Programs from Debian's packages, downloaded and unpacked but not installed: needs no root and starts no service. */
import { existsSync, globSync, mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { cached, partsFolder } from './cache.ts'
import { runChild } from './process.ts'

export interface Program {
  readonly command: string
  /** To be added to the environment: where its unpacked libraries are. */
  readonly env: NodeJS.ProcessEnv
}

/** Packages are some hundred kilobytes; a registry that answers slower than this is as good as away. */
const FETCH_TIMEOUT_MS = 120_000

/**
 * The program `program` of the Debian package `packageName`: from the cache, else from Debian's packages, else the
 * machine's own. Rejects with the reason when it can't be had.
 */
export async function debianProgram(packageName: string, program: string): Promise<Program> {
  try {
    return programIn(await folderOf(packageName), program)
  } catch (error) {
    const own = onPath(program)
    if (own) return { command: own, env: {} }
    throw error
  }
}

/** The path of a shared library of a Debian package, for LD_PRELOAD. Rejects with the reason when it can't be had. */
export async function debianLibrary(packageName: string, library: string): Promise<string> {
  const folder = await folderOf(packageName)
  const [found] = globSync(`usr/lib/**/${library}`, { cwd: folder })
  if (found === undefined) throw new Error(`${folder} has no library ${library}; remove that folder to fetch it again`)
  return path.join(folder, found)
}

async function folderOf(packageName: string): Promise<string> {
  const kept = keptFolder(packageName)
  if (kept) return kept
  const version = await availableVersion(packageName)
  return await cached(`${packageName}_${version.replaceAll(':', '.')}_${process.arch}`, (into) =>
    unpackWithLibraries(packageName, into),
  )
}

/** Any version that was fetched before, so that nothing is asked of the network when there is nothing to do. */
function keptFolder(packageName: string): string | undefined {
  if (!existsSync(partsFolder())) return undefined
  const name = readdirSync(partsFolder())
    .toSorted()
    .findLast((entry) => entry.startsWith(`${packageName}_`) && entry.endsWith(`_${process.arch}`))
  return name && path.join(partsFolder(), name)
}

function programIn(folder: string, program: string): Program {
  const command = ['usr/sbin', 'usr/bin'].map((place) => path.join(folder, place, program)).find((at) => existsSync(at))
  if (!command) throw new Error(`${folder} has no program ${program}; remove that folder to fetch it again`)
  const libraries = globSync(['usr/lib/*-linux-gnu*', 'lib/*-linux-gnu*'], { cwd: folder })
  return {
    command,
    env: libraries.length > 0 ? { LD_LIBRARY_PATH: libraries.map((at) => path.join(folder, at)).join(':') } : {},
  }
}

function onPath(program: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']
    .map((folder) => path.join(folder, program))
    .find((at) => existsSync(at))
}

async function run(command: string, args: readonly string[], cwd?: string): Promise<string> {
  const { code, output } = await runChild({
    command,
    args,
    env: { ...process.env, LC_ALL: 'C' },
    timeoutMs: FETCH_TIMEOUT_MS,
    ...(cwd !== undefined && { cwd }),
  })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with exit code ${code}\n${output.slice(-2_000)}`)
  return output
}

/**
 * Package lists of our own, for a machine whose lists were never fetched or are too old: `apt-get update` on the
 * system's would need root and would change the machine.
 */
function ownListsOptions(): string[] {
  const folder = path.join(partsFolder(), '..', 'apt')
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(path.join(folder, part), { recursive: true })
  return ['-o', `Dir::State::Lists=${folder}/lists`, '-o', `Dir::Cache=${folder}`, '-o', 'APT::Sandbox::User=']
}

async function candidate(packageName: string, options: readonly string[]): Promise<string | undefined> {
  const policy = await run('apt-cache', [...options, 'policy', packageName])
  const version = /^ {2}Candidate: (?!\(none\))(\S+)$/m.exec(policy)?.[1]
  return version
}

async function availableVersion(packageName: string): Promise<string> {
  const known = await candidate(packageName, [])
  if (known) return known
  const own = ownListsOptions()
  await run('apt-get', [...own, 'update'])
  const found = await candidate(packageName, own)
  if (!found) throw new Error(`Debian's packages have no ${packageName}`)
  return found
}

async function download(packageName: string, into: string): Promise<string> {
  try {
    await run('apt-get', ['download', packageName], into)
  } catch {
    // The lists know no such package, or name a version that a newer one has replaced: ask with fresh lists. What
    // fails again is the reason that is told.
    const own = ownListsOptions()
    await run('apt-get', [...own, 'update'])
    await run('apt-get', [...own, 'download', packageName], into)
  }
  const file = globSync(`${packageName}_*.deb`, { cwd: into })[0]
  if (!file) throw new Error(`apt-get download ${packageName} left no file`)
  return path.join(into, file)
}

/** Unpacks a package and, of what it depends on, the libraries that this machine doesn't have. */
async function unpackWithLibraries(packageName: string, folder: string): Promise<void> {
  const archives = path.join(folder, 'archives')
  mkdirSync(archives)
  const seen = new Set([packageName])
  for (const name of seen) {
    const archive = await download(name, archives)
    await run('dpkg', ['-x', archive, folder])
    for (const library of await missingLibraries(archive)) seen.add(library)
  }
}

/** Names such as `libev4` of the first alternative of each dependency that is a library and isn't installed. */
async function missingLibraries(archive: string): Promise<string[]> {
  const dependencies = await run('dpkg-deb', ['-f', archive, 'Depends'])
  const names = dependencies
    .split(',')
    .map((dependency) => /^[a-z0-9][a-z0-9.+-]*/.exec(dependency.trim())?.[0] ?? '')
    .filter((name) => name.startsWith('lib') || name.startsWith('zlib'))
  const missing: string[] = []
  for (const name of names) if (!(await isInstalled(name))) missing.push(name)
  return missing
}

async function isInstalled(packageName: string): Promise<boolean> {
  const { code, output } = await runChild({
    command: 'dpkg-query',
    args: ['-W', '-f', '${db:Status-Status}', packageName],
    timeoutMs: FETCH_TIMEOUT_MS,
  })
  return code === 0 && output.trim() === 'installed'
}
