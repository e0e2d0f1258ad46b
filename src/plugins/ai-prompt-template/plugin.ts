/** Makes requests from templates that clients name, as Kong's ai-prompt-template does. */
import { definePlugin, type Exchange, type Exit } from '#pdk'
import { DEFAULT_LIMIT, isExit, readLlmRequest, refuseLlm, type LlmRequest } from '../ai/llm-request.ts'
import { compileTemplate, renderTemplate, type Template } from './template.ts'
import { schema } from './schema.ts'

interface State {
  readonly templates: ReadonlyMap<string, Template>
  readonly allowsUntemplated: boolean
  readonly logsOriginal: boolean
  readonly limitBytes: number
}

export const aiPromptTemplate = definePlugin({
  schema,

  prepare(config): State {
    return {
      // Of two with the same name Kong takes the first.
      templates: new Map(config.templates.toReversed().map(({ name, template }) => [name, compileTemplate(template)])),
      allowsUntemplated: config.allow_untemplated_requests,
      logsOriginal: config.log_original_request,
      limitBytes: config.max_request_body_size ?? DEFAULT_LIMIT,
    }
  },

  access: fillIn,
})

async function fillIn(exchange: Exchange, state: State): Promise<void | Exit> {
  const request = await readLlmRequest(exchange, state.limitBytes)
  if (isExit(request)) return request
  if (state.logsOriginal)
    (exchange.logFields ??= {})['ai'] = { payload: { original_request: request.bytes.toString() } }
  const reference = referenceOf(request)
  if (typeof reference === 'object') return refuseLlm(exchange, 400, reference.problem)
  if (reference === '')
    return state.allowsUntemplated
      ? undefined
      : refuseLlm(exchange, 400, 'this LLM route only supports templated requests')
  const template = state.templates.get(reference)
  if (template === undefined) return refuseLlm(exchange, 400, `could not find template name [${reference}]`)
  const rendered = renderTemplate(template, request.body['properties'])
  if (typeof rendered === 'object') return refuseLlm(exchange, 400, rendered.problem)
  exchange.request.body.replace(Buffer.from(rendered))
}

const REFERENCE = /^\{template:\/\/([^{}]*)\}$/

/** The name of the template that is asked for; '' for a request without one. */
function referenceOf({ body: { messages, prompt } }: LlmRequest): string | { readonly problem: string } {
  if (messages !== undefined && prompt !== undefined)
    return { problem: "cannot run 'messages' and 'prompt' templates at the same time" }
  const given = messages ?? prompt
  if (given === undefined || given === null)
    return { problem: "only 'llm/v1/chat' and 'llm/v1/completions' formats are supported for templating" }
  return typeof given === 'string' ? (REFERENCE.exec(given)?.[1] ?? '') : ''
}
