/** Many routes and credentials, written through the product's own store and writer in large transactions. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DEFAULT_WORKSPACE, type Document } from '#model/document.ts'
import { readSettings } from '#model/settings/read.ts'
import { openLog } from '#telemetry/logger.ts'
import { gatewayModel } from '../../src/gateway-model.ts'
import { checkContext, openStore } from '../../src/gateway-store.ts'
import { loadPluginSet } from '../../src/plugin-set.ts'
import type { Bed } from './cluster.ts'

export interface Fill {
  readonly routes: number
  readonly credentials: number
}

/** Operations of one transaction. */
const AT_ONCE = 5_000
const HOSTS = 1_000
/** Keys of one consumer. */
const KEYS_EACH = 20
const PROJECTED_MS = 1_800_000

export const hostOf = (n: number) => `host-${n % HOSTS}.example.test`
export const pathOf = (n: number) => `/filled/${n % 100}/${n}`
export const keyOf = (n: number) => `filled-key-${n}`

/** Resolves with the seconds it took, when the projection of dc1 holds it too. */
export async function fillStore(bed: Bed, { routes, credentials }: Fill): Promise<number> {
  const start = performance.now()
  const prefix = mkdtempSync(path.join(tmpdir(), 'meridian-fill-'))
  const read = readSettings({
    file: null,
    environment: {},
    overrides: { ...bed.settingsOf('dc1'), prefix },
    workingFolder: prefix,
    cores: 1,
  })
  if (!read.ok) throw new Error(read.problems.join('\n'))
  const { settings } = read
  const model = gatewayModel(await loadPluginSet(settings), settings)
  const log = openLog({ target: { to: 'stderr', format: null }, level: 'error' })
  const opened = await openStore(settings, model, {
    id: randomUUID(),
    state: () => ({}) as never,
    log,
    redis: null,
  })
  try {
    const make = (kind: string, input: Record<string, unknown>): Document => {
      const made = model.insert(kind, input, checkContext(settings, Date.now()))
      if (!made.ok) throw new Error(`${kind}: ${JSON.stringify(made)}`)
      return made.document
    }
    const write = async (kind: string, documents: readonly Document[]) => {
      const operations = documents.map((document) => ({
        op: 'put' as const,
        kind,
        workspace: DEFAULT_WORKSPACE,
        document,
      }))
      const result = await opened.writer.write(async () => ({ operations }), {
        origin: { actor: 'bench', via: 'bench' },
      })
      if (result.outcome !== 'appended') throw new Error(`${kind}: ${JSON.stringify(result)}`)
    }
    const writeMany = async (kind: string, count: number, input: (n: number) => Record<string, unknown>) => {
      for (let first = 0; first < count; first += AT_ONCE) {
        const some = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, n) => make(kind, input(first + n)))
        await write(kind, some)
      }
    }
    const service = make('services', {
      name: 'filled',
      url: `http://${bed.network.site('dc1').hostAddress}:${bed.upstreamPort}`,
    })
    await write('services', [service])
    await writeMany('routes', routes, (n) => ({
      name: `filled-${n}`,
      hosts: [hostOf(n)],
      paths: [pathOf(n)],
      service: { id: service.id },
    }))
    await write('plugins', [make('plugins', { name: 'key-auth', service: { id: service.id } })])
    const consumers = Array.from({ length: Math.ceil(credentials / KEYS_EACH) }, () => randomUUID())
    await writeMany('consumers', consumers.length, (n) => ({ id: consumers[n], username: `filled-${n}` }))
    await writeMany('keyauth_credentials', credentials, (n) => ({
      key: keyOf(n),
      consumer: { id: consumers[Math.floor(n / KEYS_EACH)] },
    }))
    const { revision } = await opened.store.head()
    const until = performance.now() + PROJECTED_MS
    while (opened.cassandra!.projected() < revision) {
      await opened.cassandra!.store.project()
      if (performance.now() > until) throw new Error('the projection does not come to its end')
      await sleep(50)
    }
  } finally {
    await opened.close()
    rmSync(prefix, { recursive: true, force: true })
  }
  return (performance.now() - start) / 1000
}
