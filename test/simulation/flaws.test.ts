/** The checker sees what is done wrongly: each flaw of the protocol, put in on purpose, within some schedules. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effort } from '../support/effort.ts'
import { FLAWS, HARMLESS, type Flaw } from './flaws.ts'
import { runSchedule } from './schedule.ts'

for (const flaw of FLAWS) {
  test(`sees ${flaw.name}`, async (t) => {
    const found = await firstFound(flaw, effort(flaw.seenBy, 1), flaw.within)
    assert.ok(found, `not seen in ${flaw.within} schedules`)
    t.diagnostic(`by seed ${found.seed}: ${found.violations[0]}`)
  })
}

test(`does not mind that ${HARMLESS.name}`, async () => {
  assert.equal(await firstFound(HARMLESS, 1, effort(50, 5000)), undefined)
})

async function firstFound(flaw: Flaw, from: number, within: number) {
  for (let seed = from; seed < from + within; seed++) {
    const result = await runSchedule(seed, flaw)
    if (result.violations.length > 0) return result
  }
  return undefined
}
