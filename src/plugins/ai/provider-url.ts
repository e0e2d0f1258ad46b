/** Where services of language models are asked, by provider and by what is asked. */
import type { ModelOptions, ModelSettings } from './provider.ts'

export type RouteType = 'llm/v1/chat' | 'llm/v1/completions' | 'preserve'

/**
 * `upstream_url`, or the provider's own place with `upstream_path` where that is set.
 * @throws where there is no such place, which `hasPlace` tells before
 */
export function urlOf(
  { provider, options }: ModelSettings,
  routeType: RouteType,
  name: string,
  isStreamed: boolean,
): URL {
  if (options?.upstream_url != null) return new URL(options.upstream_url)
  const url = new URL(originOf(provider, options))
  const path = pathOf(provider, routeType, name, options, isStreamed)
  url.pathname = options?.upstream_path ?? path ?? '/'
  if (provider === 'azure') url.searchParams.set('api-version', options?.azure_api_version ?? '')
  // Events are what everybody else streams; without it an array of JSON comes.
  if (provider === 'gemini' && isStreamed) url.searchParams.set('alt', 'sse')
  return url
}

/** Whether the provider has a place of its own for such requests, or the configuration names one. */
export function hasPlace({ provider, options }: ModelSettings, routeType: RouteType): boolean {
  return (
    options?.upstream_url != null ||
    options?.upstream_path != null ||
    routeType === 'preserve' ||
    pathOf(provider, routeType, '', options, false) !== null
  )
}

function originOf(provider: string, options: ModelOptions | null): string {
  switch (provider) {
    case 'openai':
      return 'https://api.openai.com'
    case 'azure':
      return `https://${options?.azure_instance}.openai.azure.com`
    case 'anthropic':
      return 'https://api.anthropic.com'
    case 'cohere':
      return 'https://api.cohere.com'
    case 'mistral':
      return 'https://api.mistral.ai'
    case 'gemini':
      return 'https://generativelanguage.googleapis.com'
    default:
      // Kong's schema asks for `upstream_url` there.
      throw new Error(`${provider}: upstream_url is missing`)
  }
}

/** Null for what the provider does not do. */
function pathOf(
  provider: string,
  routeType: RouteType,
  name: string,
  options: ModelOptions | null,
  isStreamed: boolean,
): string | null {
  if (routeType === 'preserve') return '/'
  const isChat = routeType === 'llm/v1/chat'
  switch (provider) {
    case 'openai':
      return isChat ? '/v1/chat/completions' : '/v1/completions'
    case 'azure': {
      const deployment = encodeURIComponent(options?.azure_deployment_id ?? '')
      return `/openai/deployments/${deployment}/${isChat ? 'chat/completions' : 'completions'}`
    }
    case 'anthropic':
      return isChat ? '/v1/messages' : '/v1/complete'
    case 'cohere':
      return isChat ? '/v1/chat' : '/v1/generate'
    case 'mistral':
      return isChat ? '/v1/chat/completions' : null
    case 'gemini':
      return isChat
        ? `/v1beta/models/${encodeURIComponent(name)}:${isStreamed ? 'streamGenerateContent' : 'generateContent'}`
        : null
    default:
      return null
  }
}
