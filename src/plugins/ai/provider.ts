/** Services of language models as configurations describe them: which form each speaks, and how the gateway's own questions go there. */
import { anthropic } from './anthropic-form.ts'
import type { ChatForm, ChatOptions } from './chat-form.ts'
import { cohere } from './cohere-form.ts'
import { gemini } from './gemini-form.ts'
import { llamaRaw } from './llama-raw-form.ts'
import { ollama } from './ollama-form.ts'
import { openai } from './openai-form.ts'
import { urlOf } from './provider-url.ts'

/** What a configuration says of a model; the parts of Kong's `llm` block that chats need. */
export interface LlmSettings {
  readonly auth: {
    readonly header_name: string | null
    readonly header_value: string | null
    readonly param_name: string | null
    readonly param_value: string | null
    readonly param_location: 'query' | 'body' | null
    readonly gcp_use_service_account: boolean | null
    readonly aws_access_key_id: string | null
    readonly allow_override: boolean | null
  } | null
  readonly model: ModelSettings
}

export interface ModelSettings {
  readonly provider: string
  readonly name: string | null
  readonly options: ModelOptions | null
}

export interface ModelOptions extends Pick<ChatOptions, 'max_tokens' | 'temperature' | 'top_p' | 'top_k'> {
  readonly input_cost: number | null
  readonly output_cost: number | null
  readonly anthropic_version: string | null
  readonly azure_instance: string | null
  readonly azure_api_version: string | null
  readonly azure_deployment_id: string | null
  readonly llama2_format: 'raw' | 'openai' | 'ollama' | null
  readonly mistral_format: 'openai' | 'ollama' | null
  readonly upstream_url: string | null
  readonly upstream_path: string | null
  readonly gemini: { readonly project_id: string | null } | null
}

/** A service that is ready to be asked. */
export interface Provider {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly form: ChatForm
  readonly options: ChatOptions
  /** Members that authenticate in the body. */
  readonly members: Readonly<Record<string, string>>
}

export interface FieldProblem {
  readonly field: string
  readonly message: string
}

/** Why, by provider. */
const NOT_HERE: Readonly<Record<string, string>> = {
  bedrock: 'bodies that are signed and streams in a binary form of their own are not here',
  huggingface: 'its forms differ from model to model',
}

/** What this version can't do of a provider, as the field below the block and why; null where it can. */
export function refuseProvider({ auth, model }: LlmSettings): FieldProblem | null {
  if (Object.hasOwn(NOT_HERE, model.provider))
    return { field: 'model.provider', message: `'${model.provider}' is not available: ${NOT_HERE[model.provider]}` }
  if (auth?.gcp_use_service_account === true || model.options?.gemini?.project_id != null)
    return { field: 'auth.gcp_use_service_account', message: "only Gemini's public API with a key is available" }
  return model.provider === 'mistral' &&
    model.options?.mistral_format === 'ollama' &&
    model.options.upstream_url === null
    ? { field: 'model.options.upstream_url', message: 'required with mistral_format ollama' }
    : null
}

/** The same for plugins whose questions are the gateway's own. */
export function refuseLlmSettings(settings: LlmSettings): FieldProblem | null {
  const { auth, model } = settings
  const problem = refuseProvider(settings)
  if (problem !== null) return problem
  if (auth?.allow_override === true)
    return { field: 'auth.allow_override', message: 'is not available: the model is asked by the gateway' }
  const needsName = model.provider !== 'azure' && model.provider !== 'llama2'
  return needsName && model.name === null
    ? { field: 'model.name', message: `required for the provider ${model.provider}` }
    : null
}

export function openProvider({ auth, model }: LlmSettings): Provider {
  const { options } = model
  const url = urlOf(model, 'llm/v1/chat', model.name ?? '', false)
  if (auth?.param_location === 'query' && auth.param_name !== null)
    url.searchParams.set(auth.param_name, auth.param_value ?? '')
  return {
    url,
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json',
      ...(model.provider === 'anthropic' && { 'anthropic-version': options?.anthropic_version ?? '' }),
      ...(auth?.header_name != null && { [auth.header_name]: auth.header_value ?? '' }),
    },
    form: formOf(model),
    options: {
      model: model.name,
      max_tokens: options?.max_tokens ?? null,
      temperature: options?.temperature ?? null,
      top_p: options?.top_p ?? null,
      top_k: options?.top_k ?? null,
    },
    members:
      auth?.param_location === 'body' && auth.param_name !== null ? { [auth.param_name]: auth.param_value ?? '' } : {},
  }
}

export function formOf({ provider, options }: ModelSettings): ChatForm {
  const local = provider === 'llama2' ? options?.llama2_format : options?.mistral_format
  switch (provider) {
    case 'anthropic':
      return anthropic
    case 'cohere':
      return cohere
    case 'gemini':
      return gemini
    case 'llama2':
    case 'mistral':
      return local === 'raw' ? llamaRaw : local === 'ollama' ? ollama : openai
    default:
      return openai
  }
}
