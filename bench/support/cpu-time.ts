import { readFileSync, readdirSync } from 'node:fs'

/** Linux counts in these for user space whatever the kernel's own clock is. */
const TICKS_PER_SECOND = 100

interface ProcessTimes {
  readonly parent: number
  readonly ticks: number
}

/** Null when the process is gone. */
function readTimes(pid: number): ProcessTimes | null {
  try {
    // The command's name stands in parentheses and may hold anything, also spaces and parentheses.
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}

/** The process and its living descendants. */
function readTree(root: number): Map<number, ProcessTimes> {
  const all = new Map<number, ProcessTimes>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const times = readTimes(Number(name))
    if (times) all.set(Number(name), times)
  }
  return new Map([...all].filter(([pid]) => descends(all, pid, root)))
}

function descends(all: ReadonlyMap<number, ProcessTimes>, pid: number, root: number): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 0; at = all.get(at)?.parent) {
    if (at === root) return true
  }
  return false
}

/** CPU seconds (user and system, all threads, also ended ones) that a process and its descendants have used, to 10 ms. */
export function treeCpuSeconds(root: number): number {
  let ticks = 0
  for (const times of readTree(root).values()) ticks += times.ticks
  return ticks / TICKS_PER_SECOND
}

/** Resident memory of a process and its descendants in bytes, shared pages counted by their share (Pss). */
export function treeResidentBytes(root: number): number {
  let kilobytes = 0
  for (const pid of readTree(root).keys()) {
    kilobytes += Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1])
  }
  return kilobytes * 1024
}
