/** Services of language models: where each is asked for a chat, and in which form it asks and answers. */
import { anthropic, cohere, gemini, llamaRaw, ollama, openai, type ChatForm, type ChatOptions } from './chat-forms.ts'

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
  readonly model: {
    readonly provider: string
    readonly name: string | null
    readonly options: ModelOptions | null
  }
}

interface ModelOptions extends Omit<ChatOptions, 'model'> {
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

/** What this version can't do of a configuration, as the field below the block and why; null where it can. */
export function refuseLlmSettings({ auth, model }: LlmSettings): { field: string; message: string } | null {
  if (model.provider === 'bedrock' || model.provider === 'huggingface')
    return { field: 'model.provider', message: `'${model.provider}' is not available in this version` }
  if (auth?.gcp_use_service_account === true || model.options?.gemini?.project_id != null)
    return { field: 'auth.gcp_use_service_account', message: "only Gemini's public API with a key is available" }
  if (auth?.allow_override === true)
    return { field: 'auth.allow_override', message: 'is not available: the model is asked by the gateway' }
  if (model.provider === 'mistral' && model.options?.mistral_format === 'ollama' && model.options.upstream_url === null)
    return { field: 'model.options.upstream_url', message: 'required with mistral_format ollama' }
  const needsName = model.provider !== 'azure' && model.provider !== 'llama2'
  return needsName && model.name === null
    ? { field: 'model.name', message: `required for the provider ${model.provider}` }
    : null
}

export function openProvider({ auth, model }: LlmSettings): Provider {
  const { options } = model
  const url = urlOf(model)
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

function formOf({ provider, options }: LlmSettings['model']): ChatForm {
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

function urlOf({ provider, name, options }: LlmSettings['model']): URL {
  if (options?.upstream_url != null) return new URL(options.upstream_url)
  const url = new URL(publicUrl(provider, name ?? '', options))
  if (options?.upstream_path != null) url.pathname = options.upstream_path
  return url
}

function publicUrl(provider: string, name: string, options: ModelOptions | null): string {
  switch (provider) {
    case 'openai':
      return 'https://api.openai.com/v1/chat/completions'
    case 'azure': {
      const deployment = encodeURIComponent(options?.azure_deployment_id ?? '')
      const version = encodeURIComponent(options?.azure_api_version ?? '')
      return `https://${options?.azure_instance}.openai.azure.com/openai/deployments/${deployment}/chat/completions?api-version=${version}`
    }
    case 'anthropic':
      return 'https://api.anthropic.com/v1/messages'
    case 'cohere':
      return 'https://api.cohere.com/v1/chat'
    case 'mistral':
      return 'https://api.mistral.ai/v1/chat/completions'
    case 'gemini':
      return `https://generativelanguage.googleapis.com/v1beta/models/${encodeURIComponent(name)}:generateContent`
    default:
      // Kong's schema asks for `upstream_url` there.
      throw new Error(`${provider}: upstream_url is missing`)
  }
}
