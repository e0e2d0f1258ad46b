#!/usr/bin/env node
// Installs what package-lock.json names when node_modules is missing or holds something else. Runs before every npm
// script that needs packages, on whatever Node (>= 20) the machine has: no dependency, no type stripping.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The oldest Node that runs the sources as they are (type stripping) with all that they use. */
const NEEDED_NODE_MAJOR = 26

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..')

/** The `packages` table of a lockfile; undefined when the file is missing or torn by an interrupted install. */
function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

// npm writes one platform as text and several as a list.
const fits = (listed, value) => listed === undefined || [listed].flat().includes(value)

/** Optional packages for other platforms are rightly absent; npm leaves them out by the same fields. */
function belongsHere(entry) {
  return !entry.optional || (fits(entry.os, process.platform) && fits(entry.cpu, process.arch) && !entry.libc)
}

/**
 * Why an install is needed; undefined when it isn't. Compares contents and not times, because a checkout gives files
 * any time: npm writes what it has installed to node_modules/.package-lock.json, as the last thing that it does.
 */
export function staleReason(folder) {
  const wanted = readPackages(path.join(folder, 'package-lock.json'))
  if (!wanted) throw new Error(`${path.join(folder, 'package-lock.json')}: missing or not JSON`)
  const installed = readPackages(path.join(folder, 'node_modules', '.package-lock.json'))
  if (!installed) return 'node_modules is missing or incomplete'
  for (const [name, entry] of Object.entries(wanted)) {
    if (name === '' || !belongsHere(entry)) continue
    const found = installed[name]
    if (!found) return `${name} is missing`
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${name} is ${found.version}, the lockfile names ${entry.version}`
    }
  }
  return undefined
}

/** npm as the user started it (npm tells where it is), else the one on PATH. */
function npmCommand() {
  const { npm_execpath: cli, npm_node_execpath: node } = process.env
  if (cli && node && existsSync(cli) && existsSync(node)) return { command: node, prefix: [cli] }
  return { command: process.platform === 'win32' ? 'npm.cmd' : 'npm', prefix: [] }
}

function install(folder) {
  const { command, prefix } = npmCommand()
  // Dev and optional packages also under NODE_ENV=production: the runtime itself is an optional one. Errors only: npm
  // would warn that packages want a newer Node than its own, which is what this install brings.
  const args = [...prefix, 'ci', '--ignore-scripts', '--include=dev', '--include=optional', '--loglevel=error']
  const { status, signal, error } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 2, 2] })
  if (error) throw new Error(`npm could not be started: ${error.message}`, { cause: error })
  if (status !== 0) throw new Error(`npm ci ended with ${signal ?? `exit status ${status}`}; see its messages above`)
}

const pinnedNode = (folder) =>
  path.join(folder, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')

/** The major version that the pinned package's Node answers; NaN when it can't run here (musl, say). */
function runsAs(node) {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  return status === 0 ? Number(/^v(\d+)/.exec(stdout)?.[1]) : Number.NaN
}

function ensure(folder) {
  const reason = staleReason(folder)
  if (reason !== undefined) {
    process.stderr.write(`Installing packages with npm ci (${reason}) ...\n`)
    install(folder)
  }
  const node = pinnedNode(folder)
  const hasPinned = existsSync(node)
  // The pinned Node is asked only after an install: asking costs a process at every start.
  if (hasPinned && reason === undefined) return
  const major = hasPinned ? runsAs(node) : Number(process.versions.node.split('.')[0])
  if (!(major >= NEEDED_NODE_MAJOR)) {
    throw new Error(
      `No Node ${NEEDED_NODE_MAJOR} for ${process.platform}-${process.arch}: the registry's packages cover linux-x64 and ` +
        `linux-arm64 with glibc, and macOS. Install Node ${NEEDED_NODE_MAJOR} or later, put it first on PATH, start again.`,
    )
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    ensure(root)
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
