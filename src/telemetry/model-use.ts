/** Counts what models were used for by what log records say of it, as Kong's prometheus plugin does with `ai_metrics`. */
import type { Figures } from './figures.ts'
import type { LoggedExchange } from './logged-exchange.ts'

interface Use {
  readonly meta?: {
    readonly provider_name?: string
    readonly request_model?: string | null
    readonly llm_latency?: number
  }
  readonly usage?: Readonly<Record<string, number | null | undefined>>
}

const TOKENS = ['prompt_tokens', 'completion_tokens', 'total_tokens'] as const

export function countModelUse(figures: Figures, { logFields, workspace }: LoggedExchange): void {
  const uses = logFields?.['ai'] as Readonly<Record<string, Use>> | undefined
  if (uses === undefined) return
  for (const { meta, usage } of Object.values(uses)) {
    // Payloads are logged without them where statistics are not wanted.
    if (meta === undefined) continue
    const labels = {
      ai_provider: meta.provider_name ?? '',
      ai_model: meta.request_model ?? '',
      cache_status: '',
      vector_db: '',
      embeddings_provider: '',
      embeddings_model: '',
      workspace: workspace?.name ?? '',
    }
    figures.counter('kong_ai_llm_requests_total', labels).value++
    const cost = usage?.['cost'] ?? 0
    if (cost > 0) figures.counter('kong_ai_llm_cost_total', labels).value += cost
    for (const type of TOKENS) {
      const count = usage?.[type] ?? 0
      if (count > 0) figures.counter('kong_ai_llm_tokens_total', { ...labels, token_type: type }).value += count
    }
    figures.histogram('kong_ai_llm_provider_latency_ms', labels)(meta.llm_latency ?? 0)
  }
}
