import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResponseHead } from '#http/response-head.ts'
import { HeaderList } from '#http/header-list.ts'
import type { Exit } from '#pdk/exchange.ts'
import type { ResponseHold } from '#pdk/response-hold.ts'
import { fakeExchange } from '#pdk/testing'
import { createPlan, type PluginInstance } from '#snapshot/plan.ts'
import type { Snapshot } from '#snapshot/snapshot.ts'
import { holdResponse, type HeldResponse } from './held-response.ts'
import type { ProxyEvents } from './worker-context.ts'

const MINUTE = 60_000

/** One plugin for each hold, in this order. */
function bed(holds: readonly (Partial<ResponseHold> | null | Error)[], framing: ResponseHead['framing'] = 'length') {
  const told: string[] = []
  const snapshot = { inFlight: 0 }
  const exchange = fakeExchange()
  const refuse = (n: number) => (reason: string) => exchange.exit(500, `${n}: ${reason}`)
  const instances = holds.map((hold, n) => ({
    name: `p${n}`,
    broken: null,
    document: { protocols: ['http'] },
    plugin: {
      responseHold: () => {
        if (hold instanceof Error) throw hold
        return hold === null
          ? null
          : { limitBytes: 100, timeoutMs: MINUTE, take: (body: Buffer) => body, refuse: refuse(n), ...hold }
      },
    },
  })) as unknown as PluginInstance[]
  const head = new ResponseHead(new HeaderList())
  head.framing = framing
  let settle: () => void = () => undefined
  const settled = new Promise<void>((resolve) => (settle = resolve))
  const held = holdResponse(
    {
      exchange,
      responseHeld: (_head, result: Buffer | Exit) => {
        told.push(
          Buffer.isBuffer(result) ? result.toString() : `${result.status} ${String(result.body ?? result.message)}`,
        )
        settle()
      },
    },
    createPlan(instances),
    head,
    snapshot as Snapshot,
    {
      pluginFailed: (_exchange, { name }, phase, error) =>
        told.push(`${name} failed in ${phase}: ${(error as Error).message}`),
    } as Partial<ProxyEvents> as ProxyEvents,
  )
  return { held, told, settled, snapshot }
}

const louder = { take: async (body: Buffer) => Buffer.from(`${body.toString().toUpperCase()}!`) }

test('plugins get the whole body one after the other, and only what the last one made goes on', async () => {
  const { held, told, settled, snapshot } = bed([louder, null, louder])
  const shared = Buffer.from('ab')
  assert.equal(held!.write(shared, true), true)
  // The connection reads into the same memory again.
  shared.fill(0)
  held!.write(Buffer.from('c'), false)
  assert.equal(held!.end(null), false)
  assert.deepEqual(told, [])
  assert.equal(snapshot.inFlight, 1)
  await settled
  assert.deepEqual(told, ['ABC!!'])
  assert.equal(snapshot.inFlight, 0)
})

test('nothing is held where no plugin wants it, or there is no body', () => {
  assert.equal(bed([null]).held, null)
  assert.equal(bed([louder], 'none').held, null)
})

test('a body over the least limit is refused by who has it, before the rest has come', () => {
  const { held, told } = bed([{ limitBytes: 9 }, { limitBytes: 3 }])
  held!.write(Buffer.from('abc'), false)
  assert.deepEqual(told, [])
  held!.write(Buffer.from('d'), false)
  held!.write(Buffer.from('e'), false)
  held!.end(null)
  assert.deepEqual(told, ['500 1: too_large'])
})

test('a plugin that answers otherwise ends it', async () => {
  const exit = fakeExchange().exit(418, 'no')
  const { held, told, settled } = bed([{ take: () => exit }, louder])
  held!.end(null)
  await settled
  assert.deepEqual(told, ['418 no'])
})

test('what takes too long is refused: the body, and a plugin', async () => {
  const slow = bed([{ timeoutMs: 1 }])
  await slow.settled
  slow.held!.write(Buffer.from('late'), false)
  slow.held!.end(null)
  assert.deepEqual(slow.told, ['500 0: timeout'])
  const thinking = bed([louder, { timeoutMs: 1, take: () => new Promise<never>(() => undefined) }])
  thinking.held!.end(null)
  await thinking.settled
  assert.deepEqual(thinking.told, ['500 1: timeout'])
})

test('a plugin that throws refuses the response', async () => {
  for (const broken of [new Error('x'), { take: () => Promise.reject(new Error('x')) }]) {
    const { held, told, settled } = bed([broken, louder])
    held!.write(Buffer.from('secret'), false)
    held!.end(null)
    await settled
    assert.deepEqual(told, ['p0 failed in responseHold: x', '500 An unexpected error occurred'])
  }
})

test('nobody hears of it once the exchange is over', async () => {
  let answer: (body: Buffer) => void = () => undefined
  const { held, told, snapshot } = bed([{ take: () => new Promise((resolve) => (answer = resolve)) }])
  held!.end(null)
  held!.close()
  answer(Buffer.from('late'))
  await new Promise<void>((resolve) => setImmediate(resolve))
  assert.deepEqual(told, [])
  assert.equal(snapshot.inFlight, 0)
})

test('a broken plugin needs no body to refuse', () => {
  const { held, told } = bed([new Error('x')])
  ;(held as HeldResponse).write(Buffer.from('a'), false)
  assert.deepEqual(told, ['p0 failed in responseHold: x', '500 An unexpected error occurred'])
})
