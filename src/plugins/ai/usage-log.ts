/** What models were used for and what that cost, in the members that Kong's log records have (`ai.<name>`). */
import type { Exchange } from '#pdk'
import type { ModelSettings } from './provider.ts'

export interface ModelUse {
  readonly pluginId: string
  readonly model: ModelSettings
  readonly requestModel: string | null
  readonly responseModel: string | null
  readonly latencyMs: number
  readonly promptTokens: number | null
  readonly completionTokens: number | null
  /** Only read where payloads are logged. */
  readonly asked: string
  readonly answered: string
}

export interface UseLogging {
  readonly log_statistics: boolean
  readonly log_payloads: boolean
}

export function logModelUse(exchange: Exchange, name: string, logging: UseLogging, use: ModelUse): void {
  if (!logging.log_statistics && !logging.log_payloads) return
  const { promptTokens, completionTokens, latencyMs, model } = use
  const fields = (exchange.logFields ??= {})
  fields['ai'] = {
    ...(fields['ai'] as object | undefined),
    [name]: {
      ...(logging.log_statistics && {
        meta: {
          plugin_id: use.pluginId,
          provider_name: model.provider,
          request_model: use.requestModel,
          response_model: use.responseModel,
          llm_latency: Math.round(latencyMs),
        },
        usage: {
          prompt_tokens: promptTokens,
          completion_tokens: completionTokens,
          total_tokens: promptTokens === null || completionTokens === null ? null : promptTokens + completionTokens,
          cost: costOf(model, promptTokens ?? 0, completionTokens ?? 0),
          time_per_token: completionTokens ? latencyMs / completionTokens : 0,
        },
      }),
      ...(logging.log_payloads && { payload: { request: use.asked, response: use.answered } }),
    },
  }
}

/** Prices are of a million tokens. */
function costOf({ options }: ModelSettings, promptTokens: number, completionTokens: number): number {
  return (promptTokens * (options?.input_cost ?? 0) + completionTokens * (options?.output_cost ?? 0)) / 1_000_000
}
