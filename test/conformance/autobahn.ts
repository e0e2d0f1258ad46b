/** Autobahn's fuzzing client: the same WebSocket server asked directly and through the gateway. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from '../support/parts.ts'
import { runChild } from '../support/process.ts'

/** From good to bad, in Autobahn's words. */
const BEHAVIORS = ['OK', 'INFORMATIONAL', 'NON-STRICT', 'UNIMPLEMENTED', 'WRONG CODE', 'UNCLEAN', 'FAILED']

/** Packages of Python 2 that share a namespace (`zope`) are only found by way of the `.pth` files beside them. */
const RUN =
  'import os, site; site.addsitedir(os.environ["PYTHONPATH"]); from autobahntestsuite.wstest import run; run()'

/** What client and server compress between them is bytes to a gateway, and takes this client most of an hour. */
const COMPRESSED = ['12.*', '13.*']

interface Case {
  readonly behavior: string
  readonly behaviorClose: string
}
type Cases = Readonly<Record<string, Case>>

export interface AutobahnRun {
  readonly direct: Cases
  readonly gateway: Cases
}

export async function runAutobahn(program: Program, urls: { direct: string; gateway: string }): Promise<AutobahnRun> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-autobahn-'))
  const specification = path.join(folder, 'spec.json')
  const servers = Object.entries(urls).map(([agent, url]) => ({ agent, url }))
  writeFileSync(
    specification,
    JSON.stringify({ outdir: path.join(folder, 'out'), servers, cases: ['*'], 'exclude-cases': COMPRESSED }),
  )
  try {
    const { code, output } = await runChild({
      command: program.command,
      args: ['-c', RUN, '-m', 'fuzzingclient', '-s', specification],
      cwd: folder,
      env: { ...process.env, ...program.env },
      name: 'autobahn',
      timeoutMs: 1_200_000,
    })
    if (code !== 0) throw new Error(`autobahn ended with exit code ${code}\n${output.slice(-2000)}`)
    return JSON.parse(readFileSync(path.join(folder, 'out', 'index.json'), 'utf8')) as AutobahnRun
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** `240 OK, 4 NON-STRICT`. */
export function summaryOf(cases: Cases): string {
  const counts = new Map<string, number>()
  for (const { behavior } of Object.values(cases)) counts.set(behavior, (counts.get(behavior) ?? 0) + 1)
  return [...counts]
    .toSorted(([a], [b]) => BEHAVIORS.indexOf(a) - BEHAVIORS.indexOf(b))
    .map(([behavior, count]) => `${count} ${behavior}`)
    .join(', ')
}

/** Cases that end worse through the gateway than without it. */
export function worseThanDirect({ direct, gateway }: AutobahnRun): string[] {
  return Object.entries(direct).flatMap(([name, without]) => {
    const through = gateway[name]
    if (through === undefined) return [`${name}: not run through the gateway`]
    const isWorse =
      rank(through.behavior) > rank(without.behavior) || rank(through.behaviorClose) > rank(without.behaviorClose)
    return isWorse
      ? [`${name}: ${through.behavior}/${through.behaviorClose}, directly ${without.behavior}/${without.behaviorClose}`]
      : []
  })
}

function rank(behavior: string): number {
  const at = BEHAVIORS.indexOf(behavior)
  return at < 0 ? BEHAVIORS.length : at
}
