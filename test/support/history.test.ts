import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokenPromises, PROMISES, type Entry } from './history-check.ts'
import { History, type Effect } from './history.ts'
import { TAMPERINGS } from './history-tampering.ts'
import type { Reply } from './ask.ts'

const KIND = 'keyauth_credentials'
const effect = (id: string, action: Effect['action'] = 'create'): Effect => ({ action, kind: KIND, id })
const hashOf = (revision: number) => revision.toString(16).padStart(8, '1')

/** A node that holds whatever log the test gives it, and says it as the Admin API does. */
class ToldNode {
  readonly name: string
  readonly id: string
  readonly entries: Entry[]
  /** What it says of itself, when not the truth. */
  shown: { readonly revision: number; readonly hash: string } | null = null

  constructor(name: string, entries: Entry[]) {
    this.name = name
    this.id = `id-of-${name}`
    this.entries = entries
  }

  get head() {
    return this.entries.at(-1) ?? { revision: 0, hash: hashOf(0) }
  }

  async admin(_method: string, target: string): Promise<Reply> {
    if (target.startsWith('/log')) return reply(200, { data: this.entries.toReversed(), next: null })
    const { revision, hash } = this.shown ?? this.head
    return reply(200, { revision, hash, nodes: [{ node_id: this.id, revision, hash }] })
  }

  /** Puts an entry at the end, and answers like a write. */
  commit(...changes: readonly Effect[]): Reply {
    const { revision, hash } = this.head
    const next = revision + 1
    const txids = changes.map(({ id, action }) => `tx-${action}-${id}`)
    this.entries.push({
      revision: next,
      txid: txids[0] ?? '',
      hash: hashOf(next),
      previous_hash: hash,
      ...(txids.length > 1 && { members: txids.map((txid) => ({ txid })) }),
      changes,
    })
    return committed(txids[0] ?? '', next)
  }
}

const reply = (status: number, json: unknown, headers = {}): Reply => ({ status, json, headers, text: '' })
const committed = (txid: string, revision: number) =>
  reply(201, {}, { 'x-config-transaction': txid, 'x-config-revision': String(revision) })
const refused = reply(503, { code: 'STORE_UNAVAILABLE' })
const open = (txid: string) => reply(503, {}, { 'x-config-transaction': txid })

/** Two nodes of one log: writes of each outcome, two committed together, look-ups before, while and after things are there. */
async function trueHistory() {
  const entries: Entry[] = []
  const nodes = [new ToldNode('one', entries), new ToldNode('two', entries)] as const
  const [one, two] = nodes
  const history = new History()
  const isThere = (id: string) => async () => {
    const last = entries.findLast(({ changes }) => changes.some((change) => change.id === id))
    return last?.changes.find((change) => change.id === id)?.action === 'create'
  }
  for (const node of nodes) await history.look(node)
  await history.write(one, effect('a'), async () => one.commit(effect('a')))
  await history.lookup(two, effect('a'), isThere('a'))
  await history.write(two, effect('r'), async () => refused)
  await history.write(two, effect('o-done'), async () => (two.commit(effect('o-done')), open('tx-create-o-done')))
  await history.write(two, effect('o-lost'), async () => open('tx-create-o-lost'))
  await history.write(two, effect('n-done'), async () => {
    two.commit(effect('n-done'))
    throw new Error('killed')
  })
  await history.write(two, effect('n-lost'), () => Promise.reject(new Error('killed')))
  const group = two.commit(effect('g1'), effect('g2'))
  await history.write(one, effect('g1'), async () => group)
  await history.write(two, effect('g2'), async () => committed('tx-create-g2', two.head.revision))
  await history.write(one, effect('a', 'delete'), async () => one.commit(effect('a', 'delete')))
  for (const node of nodes)
    for (const id of ['a', 'r', 'g2', 'o-done']) await history.lookup(node, effect(id), isThere(id))
  // It came while the question was under way: either answer is right.
  await history.lookup(one, effect('late'), async () => (one.commit(effect('late')), false))
  await history.write(one, effect('late'), async () => committed('tx-create-late', one.head.revision))
  for (const node of nodes) await history.look(node)
  return { history, one, two, entries }
}

test('a true history breaks no promise, and each that is broken in it on purpose is named', async () => {
  const { history, one } = await trueHistory()
  assert.deepEqual(
    (['acknowledged', 'refused', 'open'] as const).map((outcome) => history.count(outcome)),
    [5, 1, 4],
  )
  await history.verify(one)
})

test('every promise has a way to break it', () => {
  assert.deepEqual(TAMPERINGS.map(({ promise }) => promise).toSorted(), Object.values(PROMISES).toSorted())
})

test('an empty history breaks no promise and proves none', async () => {
  const none = { writes: [], sights: [], lookups: [], entries: [] }
  assert.deepEqual(brokenPromises(none), [])
  for (const { promise, tamper } of TAMPERINGS) assert.equal(tamper(none), undefined, promise)
  await assert.rejects(new History().verify(new ToldNode('one', [])), /nothing was recorded by which it would show/)
})

/** What a faulty cluster would have done, as its clients would have met it; the checker must name what is broken. */
const FAULTY: readonly {
  readonly promise: string
  readonly text: RegExp
  readonly happens: (history: History, one: ToldNode, two: ToldNode) => Promise<unknown>
}[] = [
  {
    promise: PROMISES.kept,
    text: /create keyauth_credentials z, acknowledged at 9, found at no revision/,
    happens: (history, one) => history.write(one, effect('z'), async () => committed('tx-z', 9)),
  },
  {
    promise: PROMISES.kept,
    text: /create keyauth_credentials z, acknowledged at 3, found at 7/,
    happens: (history, one) =>
      history.write(one, effect('z'), async () => (one.commit(effect('z')), committed('tx-create-z', 3))),
  },
  {
    promise: PROMISES.refused,
    text: /create keyauth_credentials z is in the log 1 times, of which 0 can be open writes/,
    happens: (history, one) => history.write(one, effect('z'), async () => (one.commit(effect('z')), refused)),
  },
  {
    promise: PROMISES.refused,
    text: /create keyauth_credentials z is in the log 2 times, of which 1 can be open writes/,
    happens: async (history, one) => {
      one.commit(effect('z'))
      one.entries.push({
        ...one.entries.at(-1)!,
        txid: 'tx-again',
        revision: 8,
        previous_hash: hashOf(7),
        hash: hashOf(8),
      })
      await history.write(one, effect('z'), () => Promise.reject(new Error('killed')))
    },
  },
  {
    promise: PROMISES.once,
    text: /create keyauth_credentials z, transaction tx-create-z, is in the log 2 times/,
    happens: (history, one) =>
      history.write(one, effect('z'), async () => {
        const told = one.commit(effect('z'))
        one.commit(effect('z'))
        return told
      }),
  },
  {
    promise: PROMISES.forward,
    text: /two went back from revision 6 to 5/,
    happens: (history, _one, two) => {
      two.shown = two.entries[4]!
      return history.look(two)
    },
  },
  {
    promise: PROMISES.equal,
    text: /two has hash ffffffff at revision 6, the log 11111116/,
    happens: (history, _one, two) => {
      two.shown = { revision: 6, hash: 'ffffffff' }
      return history.look(two)
    },
  },
  {
    promise: PROMISES.fresh,
    text: /two: keyauth_credentials a was there between revisions 6 and 6, the log says otherwise/,
    happens: (history, _one, two) => history.lookup(two, effect('a'), async () => true),
  },
  {
    promise: PROMISES.fresh,
    text: /two: keyauth_credentials g1 was not there between revisions 6 and 6, the log says otherwise/,
    happens: (history, _one, two) => history.lookup(two, effect('g1'), async () => false),
  },
  {
    promise: PROMISES.chain,
    text: /revision 6 does not follow the entry before it/,
    happens: async (_history, one) => void (one.entries[5] = { ...one.entries[5]!, previous_hash: 'ffffffff' }),
  },
]

for (const { promise, text, happens } of FAULTY) {
  test(`told of a cluster that breaks '${promise}': ${text.source}`, async () => {
    const { history, one, two } = await trueHistory()
    await happens(history, one, two)
    await assert.rejects(history.verify(one), (error: Error & { actual?: unknown }) => {
      const problems = error.actual as string[]
      assert.equal(problems.length, 1, problems.join('\n'))
      const [problem = ''] = problems
      assert.ok(problem.startsWith(`${promise}: `), problem)
      assert.match(problem, text)
      return true
    })
  })
}
