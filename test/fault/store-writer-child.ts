/**
 * The process that is killed: appends transaction after transaction to an embedded store and says so on stdout after each,
 * until it is ended from outside, or ends itself (SIGKILL) when the step that it was told comes for the n-th time.
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError } from '#core/errors.ts'
import { openSqliteStore, type Step } from '#store/sqlite.ts'
import { definitions, START_MS, testKeyring } from '../contract/store-fixture.ts'
import { KEPT_REVISIONS, transactionAt } from './store-history.ts'

const [path = '', killAt = '', times = '0', walPages = '1000', onFailure = 'stop'] = process.argv.slice(2)
let left = Number(times)
// Where files have a limit, writing beyond it is to fail and not to end the process.
process.on('SIGXFSZ', () => {})

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
  const outcome = await attempt(async () => (await store.append(transactionAt(revision + 1), revision)).outcome)
  if (outcome === 'appended') writeSync(1, `${revision + 1}\n`)
  else await failed(outcome)
  if (revision % 7 !== 0) continue
  const retention = { revisions: KEPT_REVISIONS, ageMs: 0, nowMs: START_MS * 2 }
  const cut = await attempt(async () => String(await store.truncate(retention)))
  if (!/^\d+$/.test(cut)) await failed(cut)
}

/** What came of it, a failure by its code. */
async function attempt(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof GatewayError) return error.code
    throw error
  }
}

async function failed(outcome: string): Promise<void> {
  writeSync(1, `failed ${outcome}\n`)
  if (onFailure !== 'go on') process.exit(1)
  await sleep(20)
}
