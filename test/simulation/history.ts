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
  /** The node's revision before and after it. */
  readonly from: number
  readonly to: number
  readonly key: readonly [kind: string, field: string, value: string]
  readonly row: Row | undefined
}

export class History {
  readonly violations: string[] = []
  readonly #writes = new Map<string, Write>()
  readonly #lookUps: LookUp[] = []
  /** The last revision that each copy reported. */
  readonly #reported = new Map<string, number>()
  readonly #heads = new Map<number, { readonly head: Head; readonly node: string }>()
  readonly #rows: { readonly node: string; readonly revision: number; readonly rows: readonly Row[] }[] = []
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

  /** `copy` names the disk: what it reported it never goes back behind. */
  reported(node: string, copy: string, head: Head): void {
    const before = this.#reported.get(copy) ?? 0
    if (head.revision < before) this.violation(`node: ${node} went back from revision ${before} to ${head.revision}`)
    this.#reported.set(copy, head.revision)
    const other = this.#heads.get(head.revision)
    if (!other) this.#heads.set(head.revision, { head, node })
    else if (other.head.hash !== head.hash)
      this.violation(`node: ${node} and ${other.node} have different hashes at revision ${head.revision}`)
    else if (!isEqual(other.head.digests, head.digests))
      this.violation(`node: ${node} and ${other.node} have different digests at revision ${head.revision}`)
  }

  lookedUp(lookUp: LookUp): void {
    this.#lookUps.push(lookUp)
  }

  held(node: string, revision: number, rows: readonly Row[]): void {
    this.#rows.push({ node, revision, rows })
  }

  get counts() {
    const outcomes = [...this.#writes.values()].map(({ outcome }) => outcome)
    const count = (wanted: Outcome) => outcomes.filter((outcome) => outcome === wanted).length
    return {
      appended: count('appended'),
      open: count('open'),
      notDone: count('not done'),
      lookUps: this.#lookUps.length,
    }
  }

  /** Everything against the log as it ended up. */
  check(truth: Truth): void {
    const places = new Map<string, number[]>()
    for (const [revision, { txid, members }] of truth.entries) {
      for (const one of members ?? [{ txid }]) {
        const found = places.get(one.txid)
        if (found) found.push(revision)
        else places.set(one.txid, [revision])
      }
    }
    for (const write of this.#writes.values()) this.#checkWrite(write, places.get(write.txid) ?? [])
    this.#checkOrder()
    for (const [revision, { head, node }] of this.#heads) {
      const entry = truth.entries.get(revision)
      if (revision !== truth.base && entry?.hash !== head.hash)
        this.violation(`node: ${node} reported revision ${revision} with the hash of no entry of the log`)
    }
    for (const lookUp of this.#lookUps) this.#checkLookUp(lookUp, truth)
    for (const { node, revision, rows } of this.#rows)
      if (!isEqual(sorted(rows), sorted(truth.stateAt(revision) ?? [])))
        this.violation(`node: ${node} does not hold the rows of revision ${revision}`)
  }

  #checkWrite({ txid, node, outcome, revision, told }: Write, places: readonly number[]): void {
    if (places.length > 1) this.violation(`write: ${txid} of ${node} was applied at revisions ${places.join(', ')}`)
    if (outcome === 'appended' && places[0] !== revision)
      this.violation(`write: ${txid} of ${node} was told to be revision ${revision}, and is ${places[0] ?? 'lost'}`)
    if (outcome === 'not done' && places.length > 0)
      this.violation(`write: ${txid} of ${node} was told not to be done (${told}), and is revision ${places[0]}`)
  }

  /** Who begins after another was told of its revision comes after it. */
  #checkOrder(): void {
    const done = [...this.#writes.values()].filter(({ outcome }) => outcome === 'appended')
    for (const first of done) {
      for (const second of done) {
        if (first.endedAtMs < second.beganAtMs && (first.revision as number) >= (second.revision as number))
          this.violation(`write: ${second.txid} began after ${first.txid} was done, and stands before it`)
      }
    }
  }

  #checkLookUp({ node, from, to, key: [kind, field, value], row }: LookUp, truth: Truth): void {
    for (let revision = from; revision <= to; revision++) {
      const wanted = truth.stateAt(revision)?.find((one) => one.kind === kind && isIn(one, field, value))
      if (isEqual(wanted, row)) return
    }
    this.violation(`look-up: ${node} at revision ${from} answered for ${kind} ${field} ${value} what it was not`)
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
