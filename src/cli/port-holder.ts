/** Who listens on a port, as far as Linux tells this user: /proc/net names the sockets, /proc/PID/fd who has them. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

export interface PortHolder {
  readonly pid: number
  readonly command: string
}

const LISTENING = '0A'
/** A machine with more processes is not searched to the end: the message is no reason to wait. */
const PROCESS_LIMIT = 5000

/** Empty when nobody listens, the system does not say, or the process belongs to another user. */
export function findPortHolders(port: number): PortHolder[] {
  const inodes = listeningInodes(port)
  if (inodes.size === 0) return []
  const holders: PortHolder[] = []
  for (const name of readFolder('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .slice(0, PROCESS_LIMIT)) {
    if (readFolder(`/proc/${name}/fd`).some((fd) => inodes.has(socketInode(`/proc/${name}/fd/${fd}`)))) {
      holders.push({ pid: Number(name), command: commandOf(name) })
    }
  }
  return holders
}

/** For a message: `nginx (pid 812)`. */
export function describeHolders(holders: readonly PortHolder[]): string {
  if (holders.length === 0) return 'another program (of another user, or not visible here)'
  return holders.map(({ pid, command }) => `${command} (pid ${pid})`).join(', ')
}

function listeningInodes(port: number): Set<string> {
  const inodes = new Set<string>()
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readText(table).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(`:${wanted}`) === true && fields[3] === LISTENING && fields[9] !== undefined)
        inodes.add(fields[9])
    }
  }
  return inodes
}

function commandOf(pid: string): string {
  const [program = '', ...rest] = readText(`/proc/${pid}/cmdline`).split('\0')
  const words = [program.split('/').at(-1) ?? '', ...rest].filter((word) => word !== '')
  return words.length > 0 ? words.slice(0, 3).join(' ') : readText(`/proc/${pid}/comm`).trim()
}

function socketInode(link: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? ''
  } catch {
    // Closed meanwhile.
    return ''
  }
}

function readFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Of another user, or gone meanwhile.
    return []
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // No such file on other systems, or the process is gone.
    return ''
  }
}
