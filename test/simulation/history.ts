/** What clients and nodes were told, and whether it fits together with what the cluster decided. */
import assert from 'node:assert/strict'
import type { Row } from '#model/document.ts'
import type { Head, Operation } from '#store/contract.ts'
import type { Truth } from './truth.ts'

/** `open`: nobody was told what became of it, also because its node died. `not done` was told so. */
export type Outcome = 'open' | 'appended' | 'not done'

interface Write {
  readonly txid: string
  readonly node: string
  readonly beganAtMs: number
  operations: readonly Operation[]
  endedAtMs: number
  outcome: Outcome
  /** Where it was told to be. */
  revision: number | null
  told: string
}

interface LookUp {
  readonly node: string
  /** Where the node stood before and after it. */
  readonly from: Head
  readonly to: Head
  readonly key: readonly [kind: string, field: string, value: string]
  readonly row: Row | undefined
}

export class History {
  readonly violations: string[] = []
  readonly #writes = new Map<string, Write>()
  readonly #lookUps: LookUp[] = []
  /** What each copy reported, in order. */
  readonly #reported = new Map<string, { readonly head: Head; readonly node: string }[]>()
  readonly #rows: { readonly node: string; readonly head: Head; readonly rows: readonly Row[] }[] = []
  /** When the beginning of each epoch was answered. */
  readonly #epochs: { readonly epoch: number; readonly atMs: number }[] = []
  readonly trace: string[] | null

  constructor(isTraced: boolean) {
    this.trace = isTraced ? [] : null
  }

  note(nowMs: number, text: () => string): void {
    this.trace?.push(`${nowMs.toFixed(1).padStart(9)}  ${text()}`)
  }

  violation(text: string): void {
    // One cause shows in many places: the first ones tell enough.
    if (this.violations.length < 20) this.violations.push(text)
    this.trace?.push(`          VIOLATION ${text}`)
  }

  began(txid: string, node: string, operations: readonly Operation[], nowMs: number): void {
    const open = { endedAtMs: Infinity, outcome: 'open', revision: null, told: 'nothing' } as const
    this.#writes.set(txid, { txid, node, operations, beganAtMs: nowMs, ...open })
  }

  /** What a request wants done may follow from the state that it sees; only its last word counts. */
  built(txid: string, operations: readonly Operation[]): void {
    const write = this.#writes.get(txid)
    if (write) write.operations = operations
  }

  ended(txid: string, outcome: Outcome, told: string, nowMs: number, revision: number | null = null): void {
    const write = this.#writes.get(txid)
    if (write) Object.assign(write, { outcome, told, revision, endedAtMs: nowMs })
  }

  /** It is tried once more: what was told of it before no longer counts. */
  triedAgain(txid: string): void {
    this.ended(txid, 'open', 'nothing', Infinity)
  }

  operationsOf(txid: string): readonly Operation[] {
    return this.#writes.get(txid)?.operations ?? []
  }

  /** `copy` names the disk: behind what it reported it never goes back, unless another epoch began there. */
  reported(node: string, copy: string, head: Head): void {
    const before = this.#reported.get(copy) ?? []
    const last = before.at(-1)?.head
    if (last?.revision !== head.revision || last.hash !== head.hash || !isEqual(last.digests, head.digests))
      before.push({ head, node })
    this.#reported.set(copy, before)
  }

  /** The beginning of an epoch was answered: from now on nothing may be acknowledged that is not in it. */
  epochBegan(epoch: number, atMs: number): void {
    this.#epochs.push({ epoch, atMs })
  }

  lookedUp(lookUp: LookUp): void {
    this.#lookUps.push(lookUp)
  }

  held(node: string, head: Head, rows: readonly Row[]): void {
    this.#rows.push({ node, head, rows })
  }

  get counts() {
    const outcomes = [...this.#writes.values()].map(({ outcome }) => outcome)
    const count = (wanted: Outcome) => outcomes.filter((outcome) => outcome === wanted).length
    return {
      appended: count('appended'),
      open: count('open'),
      notDone: count('not done'),
      lookUps: this.#lookUps.length,
      epochs: this.#epochs.length,
    }
  }

  /** Everything against the log as it ended up. */
  check(truth: Truth): void {
    const { current } = truth
    const places = new Map<string, number[]>()
    for (let revision = truth.base + 1; revision <= current.head; revision++) {
      const entry = current.entryAt(revision)
      for (const one of entry?.members ?? (entry ? [entry] : [])) {
        const found = places.get(one.txid)
        if (found) found.push(revision)
        else places.set(one.txid, [revision])
      }
    }
    const given = this.#givenUp(truth)
    for (const write of this.#writes.values()) this.#checkWrite(write, places.get(write.txid) ?? [], given)
    this.#checkOrder(given)
    for (const reports of this.#reported.values()) this.#checkReports(reports, truth)
    for (const lookUp of this.#lookUps) this.#checkLookUp(lookUp, truth)
    for (const { node, head, rows } of this.#rows) {
      const [timeline] = truth.leadingOver(head)
      if (!isEqual(sorted(rows), sorted(timeline?.stateAt(head.revision) ?? [])))
        this.violation(`node: ${node} does not hold the rows of revision ${head.revision}`)
    }
  }

  /** What stands beyond the place where a later epoch began: the epochs by revision and transaction. */
  #givenUp({ timelines, current }: Truth): ReadonlyMap<string, number> {
    const given = new Map<string, number>()
    for (const { epoch, entries } of timelines.values()) {
      for (const [revision, entry] of entries) {
        if (current.entryAt(revision)?.hash === entry.hash) continue
        for (const { txid } of entry.members ?? [entry]) given.set(`${revision} ${txid}`, epoch)
      }
    }
    return given
  }

  /** A head may be on several ways, so the earliest epoch is taken that the node can be in. */
  #checkReports(reports: readonly { readonly head: Head; readonly node: string }[], truth: Truth): void {
    let before = { revision: 0, epoch: 0 }
    for (const { head, node } of reports) {
      const ways = truth.leadingOver(head)
      const entry = ways[0]?.entryAt(head.revision)
      if (ways.length === 0)
        this.violation(`node: ${node} reported revision ${head.revision} with the hash of no entry of the log`)
      if (entry && !isEqual(entry.digests, head.digests))
        this.violation(`node: ${node} has other digests at revision ${head.revision} than the log`)
      const isBack = head.revision < before.revision
      const way = ways.findLast(({ epoch }) => (isBack ? epoch > before.epoch : epoch >= before.epoch))
      if (ways.length > 0 && !way)
        this.violation(`node: ${node} went back from ${before.revision} of epoch ${before.epoch} to ${head.revision}`)
      before = { revision: head.revision, epoch: way?.epoch ?? before.epoch }
    }
  }

  #checkWrite(
    { txid, node, outcome, revision, told, beganAtMs }: Write,
    places: readonly number[],
    given: ReadonlyMap<string, number>,
  ): void {
    if (places.length > 1) this.violation(`write: ${txid} of ${node} was applied at revisions ${places.join(', ')}`)
    if (outcome === 'appended' && places[0] !== revision) {
      // An epoch gives up what its node did not have; but whoever begins to write after that was answered writes into it.
      const epoch = given.get(`${revision} ${txid}`)
      if (epoch === undefined)
        this.violation(`write: ${txid} of ${node} was told to be revision ${revision}, and is ${places[0] ?? 'lost'}`)
      else if (this.#epochs.some((one) => one.epoch > epoch && one.atMs < beganAtMs))
        this.violation(
          `epoch: ${txid} of ${node} was written as revision ${revision} of epoch ${epoch}, which was over`,
        )
    }
    if (outcome === 'not done' && places.length > 0)
      this.violation(`write: ${txid} of ${node} was told not to be done (${told}), and is revision ${places[0]}`)
  }

  /** Who begins after another was told of its revision comes after it. */
  #checkOrder(given: ReadonlyMap<string, number>): void {
    const done = [...this.#writes.values()].filter(
      ({ outcome, revision, txid }) => outcome === 'appended' && !given.has(`${revision} ${txid}`),
    )
    for (const first of done) {
      for (const second of done) {
        if (first.endedAtMs < second.beganAtMs && (first.revision as number) >= (second.revision as number))
          this.violation(`write: ${second.txid} began after ${first.txid} was done, and stands before it`)
      }
    }
  }

  #checkLookUp({ node, from, to, key: [kind, field, value], row }: LookUp, truth: Truth): void {
    const ends = truth.leadingOver(to)
    const isOneWay = ends.some((timeline) => timeline.leadsOver(from)) && from.revision <= to.revision
    const beginnings = isOneWay ? [] : truth.leadingOver(from)
    const isThere = (rows: readonly Row[] | undefined) =>
      isEqual(
        rows?.find((one) => one.kind === kind && isIn(one, field, value)),
        row,
      )
    for (const timeline of ends)
      for (let at = isOneWay ? from.revision : timeline.base; at <= to.revision; at++)
        if (isThere(timeline.stateAt(at))) return
    for (const timeline of beginnings)
      for (let at = from.revision; at <= timeline.head; at++) if (isThere(timeline.stateAt(at))) return
    this.violation(
      `look-up: ${node} at revision ${from.revision} answered for ${kind} ${field} ${value} what it was not`,
    )
  }
}

export function isEqual(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

function isIn(row: Row, field: string, value: string): boolean {
  // Domains are named across workspaces; the others are looked up in the first one.
  return row.document[field] === value && (row.kind === 'domains' || row.workspace === 'workspace-1')
}

function sorted(rows: readonly Row[]): readonly Row[] {
  const place = (row: Row) => `${row.kind} ${row.document.id}`
  return [...rows].sort((a, b) => (place(a) < place(b) ? -1 : 1))
}
