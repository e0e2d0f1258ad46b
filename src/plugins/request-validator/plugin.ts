/** Lets in requests that are as a schema or an OpenAPI document says, with the configuration of Kong's plugin of that name. */
import { definePlugin, FieldName, type Exchange, type Exit, type MetricsSink } from '#pdk'
import { isJsonType, isUtf8, parseMediaType, type MediaType } from './content-type.ts'
import type { Judge } from './json-schema.ts'
import { parseJsonText } from '#pdk/json-text.ts'
import { findContent, judgeForm } from './openapi/body.ts'
import type { BodyRules } from './openapi/operation.ts'
import { ParameterSource } from './parameters.ts'
import { compileRules, RuleProblem, type Rules } from './rules.ts'
import { schema } from './schema.ts'

interface State extends Rules {
  readonly comparesParameters: boolean
  readonly isVerbose: boolean
  readonly refusesUnknown: boolean
  readonly bodyBytesMax: number
  readonly metrics: MetricsSink
}

type Reason = 'content_type' | 'body' | 'parameter' | 'operation'

/** Kong's texts; with `verbose_response` they say what is wrong instead. */
const TEXTS: Readonly<Record<Reason, string>> = {
  content_type: 'specified Content-Type is not allowed',
  body: "request body doesn't conform to schema",
  parameter: "request param doesn't conform to schema",
  operation: 'no operation is described for this request',
}

const CONTENT_TYPE = new FieldName('Content-Type')
const CONTENT_ENCODING = new FieldName('Content-Encoding')
/** Requests that have no content as a rule (RFC 9110 9.3). */
const BODYLESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])

export const requestValidator = definePlugin({
  schema,

  refuse(config) {
    try {
      compileRules(config, false)
      return null
    } catch (error) {
      if (error instanceof RuleProblem) return { field: error.field, message: error.message }
      throw error
    }
  },

  prepare(config, { metrics }): State {
    return {
      ...compileRules(config, true),
      comparesParameters: config.content_type_parameter_validation ?? true,
      isVerbose: config.verbose_response,
      refusesUnknown: config.openapi_unknown === 'refuse',
      bodyBytesMax: config.max_body_bytes,
      metrics,
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    if (state.parameters.length > 0) {
      const captures = exchange.captures?.named
      const source = new ParameterSource(exchange, (name) =>
        captures !== undefined && Object.hasOwn(captures, name) ? captures[name]! : null,
      )
      for (const parameter of state.parameters) {
        const problem = parameter.check(source)
        if (problem !== null) return refuse(exchange, state, 'parameter', problem)
      }
    }
    let described: BodyRules | null | undefined
    if (state.operations !== null) {
      const found = describedBody(exchange, state)
      if (found !== null && 'kind' in found) return found
      described = found === null ? undefined : found.body
    }
    const { body } = state
    const wantsBody = body !== null && (exchange.request.body.exists || !BODYLESS.has(exchange.request.method))
    if (!wantsBody && described === undefined) return
    return checkBody(exchange, state, wantsBody ? body : null, described)
  },
})

/** What the document says of this request's body, null where it says nothing of the request at all. */
function describedBody(exchange: Exchange, state: State): Exit | { readonly body: BodyRules | null } | null {
  const { request } = exchange
  const found = state.operations!.find(request.method, request.path)
  if (found.is !== 'operation') {
    if (!state.refusesUnknown) return null
    state.metrics.refused(schema.name, 'operation')
    if (found.is === 'no path') return exchange.fail(404, TEXTS.operation)
    return exchange.fail(405, TEXTS.operation, { headers: { Allow: found.allowed } })
  }
  const { parameters, body } = found.rules
  const source = new ParameterSource(exchange, found.pathValue)
  for (const parameter of parameters) {
    const problem = parameter.check(source)
    if (problem !== null) return refuse(exchange, state, 'parameter', problem)
  }
  return { body }
}

function checkBody(
  exchange: Exchange,
  state: State,
  judge: Judge | null,
  described: BodyRules | null | undefined,
): void | Exit | Promise<void | Exit> {
  const { body } = exchange.request
  const given = CONTENT_TYPE.getAll(exchange.request.headers)
  // Which of several types the upstream believes is not for a guess.
  const type = given.length === 1 ? parseMediaType(given[0]!) : null
  if (judge !== null && (type === null || !isAllowed(type, state))) return refuse(exchange, state, 'content_type', null)
  const content = described == null || type === null ? null : findContent(described, type)
  if (described !== undefined) {
    if (!body.exists) {
      if (described?.isRequired === true) return refuse(exchange, state, 'body', 'is required')
      if (judge === null) return
    } else if (described === null) return refuse(exchange, state, 'body', 'is not expected')
    else if (content === null) return refuse(exchange, state, 'content_type', null)
  }
  const judgesJson = judge !== null && isJsonType(type!)
  const judgesContent = body.exists && content !== null && content.judge !== null && content.kind !== 'other'
  if (!judgesJson && !judgesContent) return
  // What is compressed reads differently for whoever unpacks it.
  if (CONTENT_ENCODING.has(exchange.request.headers)) return refuse(exchange, state, 'body', 'has a Content-Encoding')
  if (!isUtf8(type!)) return refuse(exchange, state, 'body', 'is not in UTF-8')
  return readBody(exchange, state, (bytes) => {
    if (judgesContent && content.kind === 'form') return judgeForm(bytes, content)
    const parsed = parseJsonText(bytes)
    if (!parsed.ok) return parsed.reason
    const problem = judgesJson ? judge(parsed.value) : null
    return problem ?? (judgesContent ? content.judge(parsed.value) : null)
  })
}

async function readBody(
  exchange: Exchange,
  state: State,
  judge: (bytes: Buffer) => string | null,
): Promise<void | Exit> {
  const bytes = await exchange.request.body.read(state.bodyBytesMax)
  if (!Buffer.isBuffer(bytes))
    return bytes.error === 'too_large' ? exchange.fail(413, 'Payload too large') : exchange.fail(400, 'Bad request')
  const problem = judge(bytes)
  if (problem !== null) return refuse(exchange, state, 'body', problem)
}

function isAllowed(type: MediaType, { types, comparesParameters }: State): boolean {
  return types!.some(
    (allowed) => allowed.name === type.name && (!comparesParameters || allowed.parameters === type.parameters),
  )
}

function refuse(exchange: Exchange, state: State, reason: Reason, problem: string | null): Exit {
  state.metrics.refused(schema.name, reason)
  const said = reason === 'body' ? `request body ${problem}` : problem
  return exchange.exit(400, { message: state.isVerbose && said !== null ? said : TEXTS[reason] })
}
