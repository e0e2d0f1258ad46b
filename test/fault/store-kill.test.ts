/** kill -9 at any point of a commit: what was acknowledged is there afterwards, and nothing is there by half. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildSync } from 'esbuild'
import { openSqliteStore, type Step } from '#store/sqlite.ts'
import { definitions, START_MS, testKeyring } from '../contract/store-fixture.ts'
import { effort } from '../support/effort.ts'
import { startChild } from '../support/process.ts'
import { checkStore, History } from './store-history.ts'

const KILLS = effort(300, 3000)
/** A file lives through so many kills before the next begins from nothing: the first appends are killed too, and checks stay quick. */
const KILLS_PER_FILE = 25
const STEPS: readonly Step[] = ['begin', 'log', 'rows', 'head', 'commit', 'committed', 'cut']

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'meridian-kill-'))
  // One plain file: the process starts in a fraction of the time.
  const child = path.join(import.meta.dirname, 'store-writer-child.ts')
  buildSync({ entryPoints: [child], outfile: writerScript(), bundle: true, platform: 'node', format: 'esm' })
})
after(() => rm(folder, { recursive: true }))

test(`nothing acknowledged is lost, and nothing half applied, in ${KILLS} kills between any two steps`, async () => {
  const history = new History()
  const random = seededRandom(20261121)
  const killed = { atStep: 0, atRandom: 0 }
  const files = Array.from({ length: Math.ceil(KILLS / KILLS_PER_FILE) }, (_, index) => index)
  const work = async () => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      await killAgainAndAgain(path.join(folder, `${file}`), history, random, killed)
    }
  }
  // Two at once: while one process is on its way up, the other's file is checked.
  await Promise.all([work(), work()])
  assert.ok(killed.atStep + killed.atRandom >= KILLS, JSON.stringify(killed))
  assert.ok(killed.atStep > KILLS / 3 && killed.atRandom > KILLS / 5, JSON.stringify(killed))
})

async function killAgainAndAgain(
  base: string,
  history: History,
  random: () => number,
  killed: { atStep: number; atRandom: number },
): Promise<void> {
  let acknowledged = 0
  for (let kill = 0; kill < KILLS_PER_FILE; kill++) {
    const step = random() < 0.6 ? STEPS[Math.floor(random() * STEPS.length)] : undefined
    // Few pages of write-ahead log: the copying of it into the file is under way in many of the kills.
    const walPages = [4, 20, 1000][kill % 3]
    const writer = await startChild({
      command: process.execPath,
      args: [writerScript(), `${base}.db`, step ?? '', String(1 + Math.floor(random() * 6)), String(walPages)],
      name: 'store writer',
    })
    if (step === undefined) {
      await writer.waitForOutput(new RegExp(`^${acknowledged + 1 + Math.floor(random() * 4)}$`, 'm'))
      await sleep(random() * 3)
      writer.signal('SIGKILL')
    }
    const exit = await writer.exited
    assert.equal(exit.signal, 'SIGKILL', writer.output)
    killed[step === undefined ? 'atRandom' : 'atStep']++
    acknowledged = Math.max(acknowledged, ...writer.output.split('\n').map(Number))
    const head = await checkCopy(base, history)
    assert.ok(head >= acknowledged, `acknowledged ${acknowledged}, found ${head}`)
    assert.ok(
      head <= acknowledged + 1,
      `acknowledged ${acknowledged}, found ${head}: more than one that nobody was told of`,
    )
    acknowledged = head
  }
}

/** Checks a copy, so that the next process meets the file as the kill left it. */
async function checkCopy(base: string, history: History): Promise<number> {
  for (const suffix of ['', '-wal'])
    await cp(`${base}.db${suffix}`, `${base}-copy.db${suffix}`, { force: true }).catch(ignoreMissing)
  const store = await openSqliteStore({
    path: `${base}-copy.db`,
    definitions,
    keyring: testKeyring(),
    nowMs: () => START_MS,
  })
  try {
    return await checkStore(store, history)
  } finally {
    await store.close()
    for (const suffix of ['', '-wal', '-shm']) await rm(`${base}-copy.db${suffix}`, { force: true })
  }
}

/** Killed before the first write there is no log yet. */
function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

function writerScript(): string {
  return path.join(folder, 'writer.mjs')
}

/** Repeats from run to run: a failure comes again. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
