import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem } from 'node:os'

/** Where and with what a figure was measured; a figure without this means nothing to the next reader. */
export interface Provenance {
  readonly at: string
  readonly commit: string
  readonly cpu: string
  readonly cores: number
  readonly memoryMiB: number
  readonly kernel: string
  readonly node: string
  readonly nginx: string
}

export function provenance(nginxVersion: string): Provenance {
  return {
    at: new Date().toISOString(),
    commit: commit(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    // Of the machine, wherever this program may run.
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.version,
    nginx: nginxVersion,
  }
}

/** With a `+` when the tree differs from it. */
function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', cwd: import.meta.dirname }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--', '../../src') ? '+' : '')
  } catch {
    // An unpacked archive has no history; the figures are still worth having.
    return 'unknown'
  }
}

/** Where figures come from, as pages in docs/ say it. */
export function machineLine(one: Provenance): string {
  return `${one.at.slice(0, 10)}, commit ${one.commit}: ${one.cpu}, ${one.cores} cores, ${one.memoryMiB} MiB, Linux ${one.kernel}, Node ${one.node}, ${one.nginx}`
}

/** One core for what is measured, the other for all that serves the measurement. */
export const MEASURED_CORE = ['taskset', '-c', '0']
export const OTHER_CORE = ['taskset', '-c', '1']

export function checkMachine(): void {
  if (process.platform !== 'linux') throw new Error('the benchmark reads /proc and pins with taskset: it needs Linux')
  if (availableParallelism() < 2)
    throw new Error('the benchmark needs two cores: one measured, one for load and upstream')
}
