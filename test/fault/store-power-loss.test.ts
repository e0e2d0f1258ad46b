/**
 * Power loss: whatever was not synced may be on the disk, or not, sector by sector and in any order. From the bytes of the files
 * at each acknowledgement every kind of disk that a power cut may leave is made up, opened, and held to the same promises.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { openSqliteStore } from '#store/sqlite.ts'
import { definitions, START_MS, testKeyring } from '../contract/store-fixture.ts'
import { effort } from '../support/effort.ts'
import { checkStore, History, KEPT_REVISIONS, transactionAt } from './store-history.ts'

/** Disks write this much at once, wholly or not at all. */
const SECTOR = 512
const WAL_HEADER = 32
const FRAME = 24 + 4096

interface Disk {
  readonly file: Buffer
  readonly wal: Buffer
}

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-power-'))
after(() => rmSync(folder, { recursive: true }))
const history = new History()

test('a power cut loses nothing acknowledged, wherever the unsynced log is cut off', async () => {
  for (const { revision, before, acknowledged } of await record(12, 1000)) {
    // Before its sync the log may end anywhere after what was synced for the revision before.
    const cuts = new Set([before.wal.length, before.wal.length + 1, acknowledged.wal.length - 1])
    for (let at = WAL_HEADER; at <= acknowledged.wal.length; at += FRAME)
      for (const offset of [-8, 0, 24, 2000]) cuts.add(at + offset)
    for (const cut of cuts) {
      if (cut < before.wal.length || cut >= acknowledged.wal.length) continue
      await holds({ ...before, wal: acknowledged.wal.subarray(0, cut) }, revision - 1, revision - 1)
    }
    await holds(acknowledged, revision, revision)
  }
})

test('nor does one that leaves out any of the unsynced sectors', async () => {
  const random = seededRandom(7)
  for (const { revision, before, acknowledged } of await record(effort(15, 150), 30)) {
    for (let round = 0; round < effort(12, 40); round++) {
      const share = [0.05, 0.5, 0.95][round % 3] as number
      const rest = round % 2 === 0 ? 'zeros' : 'garbage'
      const wal = mix(begun(before.wal, acknowledged.wal), acknowledged.wal, () => random() < share, rest)
      // While the log is written the file is not touched: it is copied into the file only after it was synced.
      await holds({ file: before.file, wal }, revision - 1, revision)
    }
  }
})

test('nor does one in the middle of copying the log into the file', async () => {
  const random = seededRandom(11)
  let copied = 0
  for (const { revision, before, acknowledged } of await record(effort(40, 300), 15)) {
    if (before.file.equals(acknowledged.file)) continue
    copied++
    for (let round = 0; round < effort(6, 20); round++) {
      const share = [0.1, 0.5, 0.9][round % 3] as number
      const file = mix(before.file, acknowledged.file, () => random() < share, 'zeros')
      await holds({ file, wal: acknowledged.wal }, revision, revision)
    }
  }
  assert.ok(copied >= 5, `the log was copied into the file ${copied} times`)
})

test('frames of the log that swapped places are no transaction', async () => {
  let swapped = 0
  for (const { revision, before, acknowledged } of await record(8, 1000)) {
    const frames = (acknowledged.wal.length - before.wal.length) / FRAME
    for (let index = 0; index + 1 < frames; index++) {
      const wal = Buffer.from(acknowledged.wal)
      const first = before.wal.length + index * FRAME
      acknowledged.wal.copy(wal, first, first + FRAME, first + 2 * FRAME)
      acknowledged.wal.copy(wal, first + FRAME, first, first + FRAME)
      await holds({ ...before, wal }, revision - 1, revision - 1)
      swapped++
    }
  }
  assert.ok(swapped > 20)
})

/** The files as they were acknowledged, revision by revision, each with those of the revision before. */
async function record(
  revisions: number,
  walPages: number,
): Promise<readonly { revision: number; before: Disk; acknowledged: Disk }[]> {
  const file = path.join(folder, `recorded-${walPages}-${revisions}.db`)
  const store = await openSqliteStore({
    path: file,
    definitions,
    keyring: testKeyring(),
    nowMs: () => START_MS,
    walPages,
  })
  const recorded = []
  let before = read(file)
  for (let revision = 1; revision <= revisions; revision++) {
    const result = await store.append(transactionAt(revision), revision - 1)
    assert.equal(result.outcome, 'appended')
    const acknowledged = read(file)
    recorded.push({ revision, before, acknowledged })
    before = acknowledged
    if (revision % 10 === 0) {
      await store.truncate({ revisions: KEPT_REVISIONS, ageMs: 0, nowMs: START_MS * 2 })
      before = read(file)
    }
  }
  await store.close()
  return recorded
}

/** The disk opens as one of these revisions, and everything of that revision is right. */
async function holds(disk: Disk, lowest: number, highest: number): Promise<void> {
  const file = path.join(folder, 'after.db')
  writeFileSync(file, disk.file)
  writeFileSync(`${file}-wal`, disk.wal)
  rmSync(`${file}-shm`, { force: true })
  const store = await openSqliteStore({ path: file, definitions, keyring: testKeyring(), nowMs: () => START_MS })
  try {
    const revision = await checkStore(store, history)
    assert.ok(revision >= lowest && revision <= highest, `expected revision ${lowest} to ${highest}, found ${revision}`)
    // It also goes on from there.
    const next = await store.append(transactionAt(revision + 1), revision)
    assert.equal(next.outcome, 'appended')
  } finally {
    await store.close()
  }
}

function read(file: string): Disk {
  return { file: readFileSync(file), wal: readFileSync(`${file}-wal`) }
}

/**
 * A log that is begun again, after all of it was copied into the file, gets another header, which SQLite syncs before the frames
 * that follow: the old header is never on the disk together with new frames.
 */
function begun(old: Buffer, next: Buffer): Buffer {
  const wal = Buffer.from(old)
  next.copy(wal, 0, 0, WAL_HEADER)
  return wal
}

/** The new bytes, with those sectors that differ from the old ones left out where the dice say so. */
function mix(old: Buffer, next: Buffer, isLost: () => boolean, rest: 'zeros' | 'garbage'): Buffer {
  const mixed = Buffer.from(next)
  for (let start = 0; start < next.length; start += SECTOR) {
    const end = Math.min(start + SECTOR, next.length)
    if (old.subarray(start, end).equals(next.subarray(start, end)) || !isLost()) continue
    // A sector that was there before is as it was; where the file has grown stand zeros, or what the disk had there once.
    mixed.fill(rest === 'zeros' ? 0 : 0xa5, start, end)
    if (start < old.length) old.copy(mixed, start, start, end)
  }
  return mixed
}

function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
