/** Changes requests on their way to the upstream, as Kong's request-transformer does. */
import { definePlugin, type Exchange, type Exit, type PluginLog } from '#pdk'
import { bodyKind, encodeBody, parseBody } from '#pdk/body-fields.ts'
import { addArg, encodeArgs, parseArgs } from '#pdk/form.ts'
import { splitPair } from '#pdk/name-value.ts'
import { emptyBody, transformArgs, transformBody } from './fields.ts'
import { transformHeaders, transformUri } from './head.ts'
import { compileOperations, compileValue, templateProblem, type Operations, type Value } from './operations.ts'
import { schema, type Config } from './schema.ts'
import { RequestScope } from './scope.ts'

/** Bodies over this size can't be changed, since that takes the whole body in memory; they are refused instead of passed unchanged. */
const BODY_LIMIT_BYTES = 8 << 20

interface State {
  readonly uri: Value | null
  readonly method: string | null
  /** Whether the new method has no body by custom, so that a form's fields go to the query as well. */
  readonly copiesFormToQuery: boolean
  readonly headers: Operations | null
  readonly body: Operations | null
  readonly query: Operations | null
  readonly log: PluginLog
  /** Whether the log has said why a template failed. */
  hasWarned: boolean
}

/** What one run of the transformation carries along. */
interface Run {
  readonly exchange: Exchange
  readonly state: State
  readonly scope: RequestScope
  /** Query that came with `replace.uri`. */
  readonly uriQuery: string | null
}

export const requestTransformer = definePlugin({
  schema,

  refuse(config) {
    for (const { field, text } of templatesOf(config)) {
      const problem = templateProblem(text)
      if (problem !== null) return { field, message: `expected a template, got '${text}': ${problem}` }
    }
    return null
  },

  prepare(config, { log }): State {
    const operations = (kind: 'headers' | 'body' | 'querystring') =>
      compileOperations({
        remove: config.remove[kind],
        rename: config.rename[kind],
        replace: config.replace[kind],
        add: config.add[kind],
        append: config.append[kind],
      })
    return {
      uri: config.replace.uri === null ? null : compileValue(config.replace.uri),
      method: config.http_method,
      copiesFormToQuery: ['GET', 'HEAD', 'TRACE'].includes(config.http_method ?? ''),
      headers: operations('headers'),
      body: operations('body'),
      query: operations('querystring'),
      log,
      hasWarned: false,
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    const scope = new RequestScope(exchange)
    const uriQuery = state.uri === null ? null : transformUri(exchange, state.uri, scope)
    const run: Run = { exchange, state, scope, uriQuery }
    if (state.method !== null) exchange.upstream.method = state.method
    if (state.copiesFormToQuery && exchange.request.body.exists && bodyKind(contentTypeOf(exchange)) === 'form') {
      return copyFormToQuery(run)
    }
    return afterMethod(run)
  },
})

async function copyFormToQuery(run: Run): Promise<void | Exit> {
  const { request } = run.exchange
  const bytes = await request.body.read(BODY_LIMIT_BYTES)
  if (!Buffer.isBuffer(bytes)) return unreadable(run.exchange, bytes.error)
  const args = parseArgs(request.query)
  for (const [name, values] of parseArgs(bytes.toString('latin1')))
    for (const value of values) addArg(args, name, value)
  if (args.size > 0) request.query = encodeArgs(args, 'by name')
  return await afterMethod(run)
}

function afterMethod(run: Run): void | Exit | Promise<void | Exit> {
  const { exchange, state, scope } = run
  if (state.headers !== null) transformHeaders(exchange, state.headers, scope)
  if (state.body !== null && bodyKind(contentTypeOf(exchange)) !== null) return changeBody(run, state.body)
  return afterBody(run)
}

async function changeBody(run: Run, operations: Operations): Promise<void | Exit> {
  const { exchange, scope } = run
  const { body } = exchange.request
  const contentType = contentTypeOf(exchange)!
  const bytes = body.exists ? await body.read(BODY_LIMIT_BYTES) : Buffer.alloc(0)
  if (!Buffer.isBuffer(bytes)) return unreadable(exchange, bytes.error)
  // An empty body can be given fields; one that is not what its type says is left alone.
  const fields = bytes.length === 0 ? emptyBody(bodyKind(contentType)!, contentType) : parseBody(contentType, bytes)
  if (fields !== null && transformBody(fields, operations, scope)) body.replace(encodeBody(fields))
  return afterBody(run)
}

function afterBody({ exchange, state, scope, uriQuery }: Run): void | Exit {
  const { request } = exchange
  if (state.query !== null) {
    const args = parseArgs(request.query)
    transformArgs(args, state.query, scope)
    request.query = args.size === 0 ? null : encodeArgs(args, 'by name')
  }
  if (uriQuery !== null) request.query = request.query === null ? uriQuery : `${uriQuery}&${request.query}`
  if (scope.failure !== null) return failed(exchange, state, scope.failure)
}

function failed(exchange: Exchange, state: State, reason: string): Exit {
  if (!state.hasWarned) {
    state.hasWarned = true
    state.log.warn({ reason }, 'a template of request-transformer failed')
  }
  return exchange.exit(500, { message: 'An unexpected error occurred' })
}

function unreadable(exchange: Exchange, error: 'too_large' | 'aborted'): Exit {
  return error === 'too_large' ? exchange.fail(413, 'Payload too large') : exchange.fail(400, 'Bad request')
}

function contentTypeOf({ request }: Exchange): string | null {
  return request.headers.get('content-type')
}

/** The texts that may hold a template and that the schema does not check as one, as it does those for bodies and arguments. */
function* templatesOf(config: Config): Generator<{ readonly field: string; readonly text: string }> {
  if (config.replace.uri !== null) yield { field: 'replace.uri', text: config.replace.uri }
  for (const operation of ['replace', 'add', 'append'] as const) {
    for (const text of config[operation].headers) yield { field: `${operation}.headers`, text: splitPair(text).value }
  }
}
