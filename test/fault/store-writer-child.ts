/**
 * The process that is killed: appends transaction after transaction to an embedded store and says so on stdout after each,
 * until it is ended from outside, or ends itself (SIGKILL) when the step that it was told comes for the n-th time.
 */
import { writeSync } from 'node:fs'
import { openSqliteStore, type Step } from '#store/sqlite.ts'
import { definitions, START_MS, testKeyring } from '../contract/store-fixture.ts'
import { KEPT_REVISIONS, transactionAt } from './store-history.ts'

const [path = '', killAt = '', times = '0', walPages = '1000'] = process.argv.slice(2)
let left = Number(times)

const store = await openSqliteStore({
  path,
  definitions,
  keyring: testKeyring(),
  nowMs: () => START_MS,
  walPages: Number(walPages),
  onStep: (step: Step) => {
    if (step === killAt && --left === 0) process.kill(process.pid, 'SIGKILL')
  },
})
// A process that is never ended is a mistake of its parent: this bounds it.
for (let lives = 0; lives < 10_000; lives++) {
  const { revision } = await store.head()
  const result = await store.append(transactionAt(revision + 1), revision)
  if (result.outcome !== 'appended') throw new Error(`revision ${revision + 1}: ${JSON.stringify(result)}`)
  writeSync(1, `${result.entry.revision}\n`)
  if (revision % 7 === 0) await store.truncate({ revisions: KEPT_REVISIONS, ageMs: 0, nowMs: START_MS * 2 })
}
