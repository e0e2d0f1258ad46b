import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposition } from './exposition.ts'
import { Figures } from './figures.ts'
import type { LoggedExchange } from './logged-exchange.ts'
import { countModelUse } from './model-use.ts'
import { Totals } from './totals.ts'

function count(figures: Figures, ai: object | null, times = 1): void {
  const logFields = ai === null ? null : { ai }
  for (let i = 0; i < times; i++)
    countModelUse(figures, { logFields, workspace: { id: 'w', name: 'default' } } as LoggedExchange)
}

function page(...threads: readonly Figures[]): string[] {
  const totals = new Totals()
  threads.forEach((figures, worker) => totals.addFigures(figures.report(), String(worker)))
  return [...exposition(totals)].join('').split('\n')
}

const use = (model: string, latency: number) => ({
  proxy: {
    meta: { provider_name: 'openai', request_model: model, llm_latency: latency },
    usage: { prompt_tokens: 7, completion_tokens: 0, total_tokens: 7, cost: 0.5 },
  },
})

test('requests, tokens, costs and latencies by provider and model, over all workers', () => {
  const [one, two] = [new Figures(), new Figures()]
  count(one, use('a', 250), 2)
  count(two, use('b', 1))
  count(two, use('a', 70_000))
  const lines = page(one, two)
  const labels = (model: string) =>
    `ai_provider="openai",ai_model="${model}",cache_status="",vector_db="",embeddings_provider="",embeddings_model="",workspace="default"`
  const a = labels('a')
  for (const line of [
    `kong_ai_llm_requests_total{${a}} 3`,
    `kong_ai_llm_requests_total{${labels('b')}} 1`,
    `kong_ai_llm_cost_total{${a}} 1.5`,
    `kong_ai_llm_tokens_total{${a},token_type="prompt_tokens"} 21`,
    `kong_ai_llm_tokens_total{${a},token_type="total_tokens"} 21`,
    `kong_ai_llm_provider_latency_ms_bucket{${a},le="250"} 2`,
    `kong_ai_llm_provider_latency_ms_bucket{${a},le="60000"} 2`,
    `kong_ai_llm_provider_latency_ms_bucket{${a},le="+Inf"} 3`,
    `kong_ai_llm_provider_latency_ms_sum{${a}} 70500`,
    `kong_ai_llm_provider_latency_ms_count{${a}} 3`,
    `kong_ai_llm_provider_latency_ms_count{${labels('b')}} 1`,
  ])
    assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`)
  assert.ok(!lines.some((line) => line.includes('type="completion_tokens"')), 'there were none')
})

test('exchanges that asked no model, or whose statistics are not logged, are not counted', () => {
  const figures = new Figures()
  count(figures, null)
  count(figures, { proxy: { payload: { request: 'x', response: 'y' } } })
  assert.deepEqual(page(figures), [''])
})

test('models that clients name do not make series without end, and those that count stay whole', () => {
  const figures = new Figures()
  for (let i = 0; i < 300; i++) count(figures, use(`m${i}`, 1))
  const report = figures.report()['kong_ai_llm_provider_latency_ms']!
  assert.ok(report.length <= 1000)
  const lines = page(figures).filter((line) => line.startsWith('kong_ai_llm_provider_latency_ms_count'))
  const counts = lines.map((line) => Number(line.split(' ').at(-1)))
  assert.equal(
    counts.reduce((sum, one) => sum + one),
    300,
  )
  assert.ok(lines.some((line) => line.includes('ai_model="other"')))
})
