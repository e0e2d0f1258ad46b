import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openSqliteStore } from '#store/sqlite.ts'
import { configStoreSuite } from './config-store.ts'

configStoreSuite('sqlite', async (options) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'meridian-store-'))
  const store = await openSqliteStore({ ...options, path: path.join(folder, 'config.db'), watchEveryMs: 10 })
  const close = store.close.bind(store)
  return Object.assign(store, {
    close: async () => {
      await close()
      await rm(folder, { recursive: true })
    },
  })
})
