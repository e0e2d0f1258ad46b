import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricsCollector, type WorkerSource } from './collect.ts'
import { exposition, metricNames } from './exposition.ts'
import { families } from './families.ts'
import { Figures } from './figures.ts'
import { LoopDelay } from './loop-delay.ts'
import { Totals, type WorkerReport } from './totals.ts'
import { WorkerMetrics } from './worker-metrics.ts'

function createWorker(): WorkerMetrics {
  const loopDelay = new LoopDelay()
  loopDelay.close()
  return new WorkerMetrics({ nodeId: 'n', threadId: 7, maxRoutes: 10, loopDelay, heapUsed: () => 1000 })
}

function createCollector(
  workers: () => readonly WorkerSource[],
  main = new Figures(),
  deadlineMs = 1000,
): MetricsCollector {
  return new MetricsCollector({ nodeId: 'n', version: '3.9.3', main, workers, deadlineMs })
}

const sourceOf = (id: string, worker: WorkerMetrics): WorkerSource => ({
  id,
  collect: () => Promise.resolve(worker.report()),
})

async function pageOf(collector: MetricsCollector): Promise<string> {
  let text = ''
  for await (const piece of collector.page()) text += piece
  return text
}

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A strict reader of the text format: every line is a comment or a sample, families stand together. */
function parsePage(text: string): Sample[] {
  assert.ok(text.endsWith('\n'))
  const samples: Sample[] = []
  const seen = new Set<string>()
  let family = ''
  for (const line of text.split('\n').slice(0, -1)) {
    if (line === '') continue
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:counter|gauge|histogram|summary)$/.exec(line)
    if (type !== null) {
      family = type[1]!
      assert.ok(!seen.has(family), `${family} stands at two places`)
      seen.add(family)
    }
    if (line.startsWith('#')) continue
    const parts = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    assert.ok(parts, line)
    const [, name = '', labelText = '', value] = parts
    assert.ok(name.startsWith(family), `${name} below ${family}`)
    const labels: Record<string, string> = {}
    const rest = labelText.replaceAll(
      /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)",?/g,
      (_, label: string, text: string) => {
        labels[label] = text.replaceAll(/\\([\\"n])/g, (_all, escaped: string) => (escaped === 'n' ? '\n' : escaped))
        return ''
      },
    )
    assert.equal(rest, '', line)
    samples.push({ name, labels, value: value === '+Inf' ? Infinity : Number(value) })
  }
  return samples
}

test('the page sums up workers, keeps apart what is per worker, and can be parsed', async () => {
  const workers = [createWorker(), createWorker()]
  for (const [at, worker] of workers.entries()) {
    worker.requests.forRoute('a "b"\\\n', 'r', 'default').record(200, false, 0.5, 30, 31, 10, 100, '')
    worker.figures.counter('meridian_rejected_requests_total', { reason: 'BAD_HEADER' }).value += 2
    worker.figures.gauge('meridian_config_revision', {}, () => 5 + at)
    worker.requestCount = 3
    worker.watchConnections(() => ({ accepted: 4, active: 3, busy: 1, reading: 1 }))
  }
  const main = new Figures()
  main.gauge('meridian_config_head_revision', {}, () => 8)
  main.gauge('kong_datastore_reachable', {}, () => 1)
  const samples = parsePage(
    await pageOf(createCollector(() => workers.map((worker, at) => sourceOf(String(at), worker)), main)),
  )
  const value = (name: string, labels: Record<string, string> = {}) => {
    const found = samples.filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    )
    assert.equal(found.length, 1, `${name} ${JSON.stringify(labels)}`)
    return found[0]!.value
  }
  const route = { service: 'a "b"\\\n', route: 'r', workspace: 'default' }
  assert.equal(value('kong_http_requests_total', { ...route, code: '200', source: 'service', consumer: '' }), 2)
  assert.equal(value('kong_bandwidth_bytes', { ...route, direction: 'egress' }), 200)
  assert.equal(value('kong_kong_latency_ms_bucket', { ...route, le: '1' }), 2)
  assert.equal(value('kong_upstream_latency_ms_bucket', { ...route, le: '25' }), 0)
  assert.equal(value('kong_upstream_latency_ms_bucket', { ...route, le: '+Inf' }), 2)
  assert.equal(value('kong_request_latency_ms_sum', route), 62)
  assert.equal(value('meridian_rejected_requests_total', { reason: 'BAD_HEADER' }), 4)
  assert.equal(value('meridian_config_revision', { worker: '1' }), 6)
  assert.equal(value('meridian_config_lag_revisions'), 3)
  assert.equal(value('kong_nginx_connections_total', { state: 'waiting' }), 2)
  assert.equal(value('kong_nginx_requests_total', { subsystem: 'http' }), 6)
  assert.equal(value('meridian_worker_up', { worker: '0' }), 1)
  assert.equal(value('kong_datastore_reachable'), 1)
  assert.equal(value('kong_node_info', { version: '3.9.3' }), 1)
  assert.ok(samples.some(({ name }) => name === 'process_cpu_seconds_total'))
})

test('a worker that does not answer is marked and stands with its last figures', async () => {
  const worker = createWorker()
  const counter = worker.figures.counter('meridian_plugin_errors_total', { plugin: 'cors', phase: 'access' })
  counter.value = 5
  let isStuck = false
  const source: WorkerSource = {
    id: '0',
    collect: () => (isStuck ? new Promise(() => {}) : Promise.resolve(worker.report())),
  }
  const collector = createCollector(() => [source], new Figures(), 20)
  await collector.collect()
  isStuck = true
  const totals = await collector.collect()
  assert.equal(totals.values('meridian_plugin_errors_total')[0]!.value, 5)
  assert.equal(totals.values('meridian_worker_up')[0]!.value, 0)
})

test('a worker that fails to answer does not spoil the page', async () => {
  const collector = createCollector(() => [
    { id: '0', collect: () => Promise.reject(new Error('ended')) },
    sourceOf('1', createWorker()),
  ])
  const up = (await collector.collect()).values('meridian_worker_up')
  assert.deepEqual(
    up.map(({ labels, value }) => [labels[0], value]),
    [
      ['0', 0],
      ['1', 1],
    ],
  )
})

test('counters never go back when a worker is replaced', async () => {
  let worker = createWorker()
  let id = 0
  const collector = createCollector(() => [sourceOf(String(id), worker)])
  const seen: number[][] = []
  for (let round = 1; round <= 3; round++) {
    worker.figures.counter('meridian_plugin_runs_total', { plugin: 'cors', phase: 'access' }).value = 10
    worker.requestCount = 10
    worker.watchConnections(() => ({ accepted: 7, active: 1, busy: 0, reading: 0 }))
    worker.requests.forRoute('s', 'r', 'default').record(200, false, 1, 1, 1, 1, 1, '')
    const totals = await collector.collect()
    const connections = totals.values('kong_nginx_connections_total')
    seen.push([
      totals.values('meridian_plugin_runs_total')[0]!.value,
      totals.values('kong_nginx_requests_total')[0]!.value,
      connections.find(({ labels }) => labels[2] === 'accepted')!.value,
      connections.find(({ labels }) => labels[2] === 'active')!.value,
      [...totals.routes.values()][0]!.kong[0]!,
      totals.values('meridian_event_loop_delay_seconds').length,
    ])
    collector.retire(String(id))
    id++
    worker = createWorker()
  }
  assert.deepEqual(seen, [
    [10, 10, 7, 1, 1, 3],
    [20, 20, 14, 1, 2, 3],
    [30, 30, 21, 1, 3, 3],
  ])
})

test('a histogram has cumulated buckets, a sum and a count', async () => {
  const main = new Figures()
  const observe = main.histogram('meridian_config_propagation_seconds', {})
  for (const seconds of [0, 0.01, 0.02, 3, 100]) observe(seconds)
  const samples = parsePage(await pageOf(createCollector(() => [], main)))
  const name = 'meridian_config_propagation_seconds'
  const bucket = (le: string) =>
    samples.find((sample) => sample.name === `${name}_bucket` && sample.labels['le'] === le)?.value
  assert.deepEqual([bucket('0.01'), bucket('0.025'), bucket('2.5'), bucket('60'), bucket('+Inf')], [2, 3, 3, 4, 5])
  const [sum, count] = ['sum', 'count'].map((part) => samples.find((one) => one.name === `${name}_${part}`)?.value)
  assert.deepEqual([sum, count], [103.03, 5])
})

test('scrapes at the same time share one collection', async () => {
  let asked = 0
  const report: WorkerReport = { figures: {}, routes: [] }
  const collector = createCollector(() => [{ id: '0', collect: () => (asked++, Promise.resolve(report)) }])
  await Promise.all([collector.collect(), collector.collect(), collector.collect()])
  assert.equal(asked, 1)
  await collector.collect()
  assert.equal(asked, 2)
})

test('the hit ratio of a cache is over all workers, not a sum of ratios', async () => {
  const workers = [createWorker(), createWorker()]
  for (const worker of workers) {
    worker.figures.counter('meridian_cache_hits_total', { cache: 'credentials' }).value = 3
    worker.figures.counter('meridian_cache_misses_total', { cache: 'credentials' }).value = 1
  }
  const totals = await createCollector(() => workers.map((worker, at) => sourceOf(String(at), worker))).collect()
  assert.equal(totals.values('meridian_cache_hit_ratio')[0]!.value, 0.75)
})

test('a family holds a bounded number of series; the rest is counted in one', () => {
  const figures = new Figures()
  for (let i = 0; i < 1200; i++) figures.counter('meridian_rejected_requests_total', { reason: `r${i}` }).value++
  const series = figures.report()['meridian_rejected_requests_total']!
  assert.equal(series.length, 1001)
  assert.deepEqual(series.at(-1), [['other'], 200])
  assert.deepEqual(figures.report()['kong_nginx_metric_errors_total'], [[[], 200]])
})

test('a thousand routes are written in pieces', () => {
  const totals = new Totals()
  const routes = Array.from({ length: 1000 }, (_, at) => ({
    service: 's',
    route: `r${at}`,
    workspace: 'default',
    kong: [1, 1],
    upstream: [1, 1],
    request: [1, 1],
    traffic: [{ consumer: '', codes: [[200, 0, 1] as const], bytesIn: 1, bytesOut: 1 }],
  }))
  totals.addWorker({ figures: {}, routes }, '0')
  const pieces = [...exposition(totals)]
  assert.ok(pieces.length > 50)
  assert.ok(pieces.every((piece) => piece.length < 500_000))
  assert.equal(parsePage(pieces.join('')).filter(({ name }) => name === 'kong_http_requests_total').length, 1000)
})

test('names and help are fit for Prometheus', () => {
  for (const name of metricNames) assert.match(name, /^(kong|meridian)_[a-z_]+$/)
  for (const [name, { type, help, labels }] of Object.entries(families)) {
    assert.match(help, /\.$/, name)
    if (type === 'counter') assert.match(name, /_total$/, name)
    for (const label of labels) assert.match(label, /^[a-z_]+$/)
  }
})

test('the delay of the event loop is how late the timer came', () => {
  let now = 0
  const delay = new LoopDelay(() => now)
  delay.close()
  for (const elapsed of [50, 50, 50, 250]) {
    now += elapsed
    delay.tick()
  }
  assert.equal(delay.currentMs, 200)
  assert.deepEqual(delay.quantiles(), { p50: 0, p99: 0.2, max: 0.2 })
})

test('each address of a target has a series for each state, and what was left out is said', async () => {
  const rows = [
    ['u', 'a:80', '10.0.0.1:80', 'unhealthy'],
    ['u', 'b:80', '', 'dns_error'],
  ] as const
  const collector = new MetricsCollector({
    nodeId: 'n',
    version: '3.9.3',
    main: new Figures(),
    workers: () => [],
    deadlineMs: 1000,
    targetStates: async () => ({ rows, left: 3 }),
  })
  const samples = parsePage(await pageOf(collector))
  const states = samples.filter(({ name }) => name === 'kong_upstream_target_health')
  assert.equal(states.length, 8)
  assert.deepEqual(
    states
      .filter(({ value }) => value === 1)
      .map(({ labels }) => [labels['target'], labels['address'], labels['state']]),
    rows.map(([, target, address, state]) => [target, address, state]),
  )
  assert.partialDeepStrictEqual(
    samples.filter(({ name }) => name === 'meridian_unlisted_target_addresses'),
    [{ value: 3 }],
  )
})
