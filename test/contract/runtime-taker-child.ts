/** A process that takes what it can get from a runtime store, and prints what it got. */
import { openSqliteRuntimeStore } from '#store/runtime-sqlite.ts'
import { START_MS, testKeyring } from './store-fixture.ts'

const [path = '', count = '0'] = process.argv.slice(2)
const store = await openSqliteRuntimeStore({ path, keyring: testKeyring(), nowMs: () => START_MS })
const taken: unknown[] = []
for (let index = 0; index < Number(count); index++) {
  const value = await store.take('s', `${index}`)
  if (value !== undefined) taken.push(value)
}
await store.close()
process.stdout.write(JSON.stringify(taken))
