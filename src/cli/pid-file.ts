/**
 * The pid file `meridian.pid` in the prefix folder: at most one gateway runs with a prefix, and `stop` and `reload` find it. The second
 * line is the time at which the process began, as the kernel counts it, so that a pid that was given to another program after a
 * crash is not taken for the gateway.
 */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GatewayError } from '#core/errors.ts'

export interface PidFile {
  readonly path: string
  /** Only removes its own. */
  release(): void
}

export function pidFilePath(prefix: string): string {
  return path.join(prefix, 'meridian.pid')
}

/** Throws ALREADY_RUNNING while another one lives, PREFIX_UNUSABLE when the folder can't be made or written. */
export function acquirePidFile(prefix: string, pid: number): PidFile {
  const file = pidFilePath(prefix)
  const mine = `${file}.${pid}`
  const text = `${pid}\n${startTicks(pid) ?? ''}\n`
  try {
    mkdirSync(prefix, { recursive: true })
    writeFileSync(mine, text)
    try {
      for (let attempt = 0; !takeName(mine, file, text); attempt++) {
        const running = runningPid(prefix)
        if (running !== null && running !== pid) {
          throw new GatewayError('ALREADY_RUNNING', `a gateway runs with the prefix ${prefix} (pid ${running})`)
        }
        if (attempt === 3)
          throw new GatewayError('ALREADY_RUNNING', `another start with the prefix ${prefix} is under way`)
        // Left by one that was killed.
        rmSync(file, { force: true })
      }
    } finally {
      rmSync(mine, { force: true })
    }
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw new GatewayError(
      'PREFIX_UNUSABLE',
      `prefix: expected a folder that can be written, got ${prefix} (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    )
  }
  return {
    path: file,
    release() {
      if (readPidFile(file)?.pid === pid) rmSync(file, { force: true })
    },
  }
}

/** False when the name is taken. Linking is atomic: of two starts at once one wins, and nobody reads half a file. */
function takeName(mine: string, file: string, text: string): boolean {
  try {
    linkSync(mine, file)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (code !== 'EPERM' && code !== 'ENOTSUP') throw error
  }
  // A file system without links.
  try {
    writeFileSync(file, text, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** The gateway that runs with this prefix, or null. */
export function runningPid(prefix: string): number | null {
  const found = readPidFile(pidFilePath(prefix))
  return found !== null && isAlive(found.pid) && (found.ticks === null || found.ticks === startTicks(found.pid))
    ? found.pid
    : null
}

function readPidFile(file: string): { pid: number; ticks: string | null } | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const [first = '', second = ''] = text.split('\n')
  return /^\d{1,10}$/.test(first) && Number(first) > 0
    ? { pid: Number(first), ticks: second === '' ? null : second }
    : null
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Ended, and only waiting for its parent to take notice. */
function isZombie(pid: number): boolean {
  return processFields(pid)?.[0] === 'Z'
}

function startTicks(pid: number): string | null {
  return processFields(pid)?.[19] ?? null
}

/** The fields of /proc/PID/stat from the state on; null where there is no such file (other systems). */
function processFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name before may hold blanks and parentheses of its own.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    // The process has ended meanwhile, or this system has no /proc.
    return null
  }
}
