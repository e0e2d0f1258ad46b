import { createMemoryStore } from '#store/memory.ts'
import { configStoreSuite } from './config-store.ts'

configStoreSuite('memory', async (options) => createMemoryStore(options))
