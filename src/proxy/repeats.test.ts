import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan, PluginInstance } from '#snapshot/snapshot.ts'
import { NoClient } from './no-client.ts'
import { MOST_REPEATS, RepeatContext, repeatedHead, repeatedPlan, takeRepeated } from './repeats.ts'
import { exchangeOf, requestHead, someConnection, someSettings } from './testing.ts'
import type { WorkerContext } from './worker-context.ts'

function someWorker(changes: Partial<WorkerContext> = {}): WorkerContext {
  const settings = { ...someSettings(), maxInFlight: 0 }
  const ended: string[] = []
  const events = { exchangeEnded: () => ended.push('ended'), exchangeFailed: () => ended.push('failed') }
  const worker = { settings, events, inFlight: 0, isDraining: false, isOverloaded: () => false, ...changes }
  return worker as Partial<WorkerContext> as WorkerContext
}

test('as many are under way as a worker bears, and they count in what it has under way', () => {
  const worker = someWorker({ inFlight: 3 })
  const repeats = new RepeatContext(worker)
  for (let n = 0; n < MOST_REPEATS; n++) {
    assert.equal(repeats.hasRoom, true)
    repeats.inFlight++
  }
  assert.deepEqual([repeats.hasRoom, worker.inFlight], [false, 3 + MOST_REPEATS])
  repeats.inFlight--
  assert.deepEqual([repeats.hasRoom, worker.inFlight], [true, 2 + MOST_REPEATS])
})

test('a worker that drains, is late or has as much as it may gets no more', () => {
  const busy = { ...someSettings(), maxInFlight: 5 }
  for (const changes of [{ isDraining: true }, { isOverloaded: () => true }, { settings: busy, inFlight: 5 }])
    assert.equal(new RepeatContext(someWorker(changes)).hasRoom, false)
})

test('those under way are given up with their time, or with the worker', async () => {
  const repeats = new RepeatContext(someWorker())
  const given: string[] = []
  const begin = (name: string, withinMs: number) => {
    const client = new NoClient(someConnection(), repeats.underWay)
    client.limit(withinMs, { onClientGone: ({ code }) => void given.push(`${name} ${code}`) })
    return client
  }
  begin('late', 1)
  begin('answered', 1).endResponse()
  begin('cut', 1).abort()
  begin('long', 1_000_000)
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.deepEqual([given, repeats.underWay.size], [['late CLIENT_ABORTED'], 1])
  repeats.giveUp()
  assert.deepEqual([given.length, repeats.underWay.size], [2, 0])
})

test('of a plan runs what comes behind the plugin before the upstream, and what comes before it behind', () => {
  const [first, own, last] = ['first', 'own', 'last'].map((name) => ({ name }) as PluginInstance)
  const instances = [first!, own!, last!]
  const steps = instances.map((instance) => ({ instance, run: () => undefined }))
  const all = {
    access: steps,
    responseHeaders: steps,
    responseBody: steps,
    responseEncoding: steps,
    responseHold: [],
    log: steps,
  }
  const plan = { instances, ...all, preread: [], sessionLog: [] } as unknown as Plan
  const made = repeatedPlan({ hasRoom: true }, plan, 'own')!
  const names = (of: readonly { readonly instance: PluginInstance }[]) => of.map(({ instance }) => instance.name)
  assert.deepEqual([made.access, made.responseHeaders, made.responseBody, made.responseEncoding, made.log].map(names), [
    ['own', 'last'],
    ['first', 'own'],
    ['first', 'own'],
    [],
    ['own'],
  ])
  assert.equal(repeatedPlan({ hasRoom: true }, plan, 'other'), null)
  assert.equal(repeatedPlan({ hasRoom: false }, plan, 'own'), null)
  assert.equal(repeatedPlan(null, plan, 'own'), null)
})

test('the copy is of the request as plugins left it, and changing it changes nothing else', () => {
  const head = requestHead('GET /a?b=1 HTTP/1.1', 'Host: shop.test', 'X-A: 1')
  const of = exchangeOf(head, someConnection())
  of.request.headers.set('X-A', '2')
  of.request.query = 'b=2'
  of.upstream.path = '/made'
  of.upstream.readTimeoutMs = 7
  of.shared.set('noted', 1)
  const copied = repeatedHead(head, of)
  const copy = exchangeOf(copied, new NoClient(someConnection(), new Set()))
  const chooser = { choose: () => false, locate: () => null, repeat: () => false }
  takeRepeated(copy, of, chooser)
  assert.deepEqual(
    [copy.hasClient, copy.request.headers.get('x-a'), copy.request.query, copy.upstream.path],
    [false, '2', 'b=2', '/made'],
  )
  assert.deepEqual([copy.upstream.readTimeoutMs, copy.recall('noted'), copy.chooser], [7, undefined, chooser])
  copy.request.headers.set('X-A', '3')
  assert.equal(of.request.headers.get('x-a'), '2')
})
