/** What a configuration of ai-proxy is prepared to: all that does not depend on a request. */
import { FieldName, type PluginTools } from '#pdk'
import type { ChatForm } from '../ai/chat-form.ts'
import { DEFAULT_LIMIT } from '../ai/llm-request.ts'
import { openai } from '../ai/openai-form.ts'
import { formOf, type ModelSettings } from '../ai/provider.ts'
import { hasFields } from './model-fields.ts'
import type { Config } from './schema.ts'

export interface State {
  readonly config: Config
  readonly model: ModelSettings
  /** Whether requests say parts of the model. */
  readonly isFilled: boolean
  readonly form: ChatForm
  /** Bodies go to the service as the client wrote them, but for what the configuration sets. */
  readonly isOpenai: boolean
  /** Whether tokens of streams have to be asked for. */
  readonly asksUsage: boolean
  readonly limitBytes: number
  readonly authHeader: FieldName | null
  readonly tools: PluginTools
  /** Whether the log has said that answers can't be used. */
  hasWarned: boolean
}

export function openState(config: Config, tools: PluginTools): State {
  const { model } = config
  const form = formOf(model)
  return {
    config,
    model,
    isFilled: hasFields(model),
    form,
    isOpenai: form === openai,
    // Others who speak this form may refuse what OpenAI added to it later.
    asksUsage: model.provider === 'openai' && config.logging.log_statistics,
    limitBytes: config.max_request_body_size ?? DEFAULT_LIMIT,
    authHeader: config.auth?.header_name != null ? new FieldName(config.auth.header_name) : null,
    tools,
    hasWarned: false,
  }
}
