import assert from 'node:assert/strict'
import { test } from 'node:test'
import { definePlugin, definePluginSchema, type AnyPlugin, type Exchange, type Exit } from '#pdk/pdk.ts'
import { fakeExchange } from '#pdk/testing.ts'
import { createPlan, rewriteSteps, type Plan, type PluginInstance } from './plan.ts'

function instanceOf(name: string, parts: Partial<AnyPlugin>): PluginInstance {
  const schema = definePluginSchema({
    name,
    priority: 1,
    version: '1.0.0',
    scopes: { global: true, service: true, route: true, consumer: true },
    protocols: { default: ['http'], allowed: ['http'] },
    phases: ['access'],
    config: {},
  })
  const plugin = definePlugin({ schema, prepare: () => null, ...parts } as AnyPlugin)
  const document = { protocols: ['http'] } as unknown as PluginInstance['document']
  return { id: name, name, idHash: 1, plugin, document, workspace: '', state: name, broken: null }
}

const watcher = (watches: boolean) => instanceOf('watcher', { timesPhases: () => watches, log: () => undefined })
const exit = (exchange: Exchange): Exit => exchange.exit(403)

async function runAll({ access, responseHeaders }: Plan, exchange: Exchange): Promise<unknown[]> {
  const results: unknown[] = []
  for (const { run, instance } of access) results.push(await run(exchange, instance.state))
  for (const { run, instance } of responseHeaders) run(exchange, instance.state)
  return results
}

test('where a plugin asks for it the time of each plugin in each phase is kept, in order', async () => {
  const later = () => new Promise<void>((resolve) => setImmediate(resolve))
  const one = instanceOf('one', { rewrite: () => undefined, access: later, responseHeaders: () => undefined })
  const two = instanceOf('two', { access: exit })
  const plan = createPlan([one, two, watcher(true)])
  const exchange = fakeExchange()
  for (const { run, instance } of rewriteSteps(plan)) void run(exchange, instance.state)
  const results = await runAll(plan, exchange)
  assert.equal((results[1] as Exit).status, 403)
  assert.deepEqual(
    exchange.phaseTimes?.map(({ phase, plugin }) => `${phase} ${plugin}`),
    ['rewrite one', 'access one', 'access two', 'header_filter one'],
  )
  for (const { startMs, endMs } of exchange.phaseTimes ?? []) assert.ok(endMs >= startMs)
})

test('what a plugin throws goes on, with its time kept', async () => {
  const throws = instanceOf('throws', {
    access: () => {
      throw new Error('at once')
    },
  })
  const rejects = instanceOf('rejects', { access: () => Promise.reject(new Error('later')) })
  const { access } = createPlan([throws, rejects, watcher(true)])
  const exchange = fakeExchange()
  assert.throws(() => access[0]!.run(exchange, null), /at once/)
  await assert.rejects(async () => access[1]!.run(exchange, null), /later/)
  assert.deepEqual(
    exchange.phaseTimes?.map(({ plugin }) => plugin),
    ['throws', 'rejects'],
  )
})

test('other plans run the plugins themselves', async () => {
  const access = () => undefined
  const one = instanceOf('one', { access, rewrite: access })
  for (const instances of [[one], [one, watcher(false)], [one, { ...watcher(true), broken: new Error('no') }]]) {
    const plan = createPlan(instances)
    assert.equal(plan.access[0]!.run, access)
    assert.equal(rewriteSteps(plan)[0]!.run, access)
    const exchange = fakeExchange()
    await runAll({ ...plan, access: plan.access.slice(0, 1) }, exchange)
    assert.equal(exchange.phaseTimes, null)
  }
})
