/** Requests to the proxies of nodes, one after the other for each, until it is ended. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterNode } from './cluster.ts'

export interface Load {
  /** By node; resolves when each has had its last answer. */
  end(): Promise<{ readonly sent: number; readonly failures: readonly string[] }>
}

const PAUSE_MS = 20

export interface Target {
  readonly node: ClusterNode
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly status: number
}

/** Any other answer than the one that is expected, or none, is a failure. */
export function startLoad(targets: readonly Target[]): Load {
  const failures: string[] = []
  let sent = 0
  const ending = new AbortController()
  const work = targets.map(async ({ node, path, headers = {}, status }) => {
    while (!ending.signal.aborted) {
      sent++
      const told = await node.proxy(path, headers).then(
        (reply) => reply.status,
        (error: unknown) => String(error),
      )
      if (told !== status) failures.push(`${node.name} ${path}: ${told}`)
      await sleep(PAUSE_MS)
    }
  })
  return {
    async end() {
      ending.abort()
      await Promise.all(work)
      return { sent, failures }
    },
  }
}
