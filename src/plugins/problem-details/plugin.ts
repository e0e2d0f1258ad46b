/** Answers errors as problem details: the gateway's own, and the upstream's, whose bodies it can hide and whose statuses it can change. */
import { definePlugin, FieldName, type BodyTransform, type Exchange } from '#pdk'
import { negotiate, type Form } from './negotiate.ts'
import { CONTENT_TYPES, detailIn, messageIn, render, titleOf, type Problem } from './problem.ts'
import { schema, type Config } from './schema.ts'

type Handling = 'keep' | 'convert' | 'hide'

interface State {
  readonly config: Config
  readonly extensions: Problem['extensions']
}

/** A problem whose body is to be sent in place of what comes. */
interface Draft {
  readonly form: Form
  readonly problem: Problem
  /** Whether its detail is to be looked for in the body that comes. */
  readonly readsBody: boolean
}

/** Longer bodies of errors have no detail that anybody would read. */
const READ_BYTES = 64 << 10
const DRAFT = 'problem_details'

const ACCEPT = new FieldName('Accept')
const CONTENT_TYPE = new FieldName('Content-Type')
/** Fields that speak of the body that was there. */
const OF_BODY = [
  'Content-Encoding',
  'Content-Language',
  'Content-Range',
  'Content-Disposition',
  'Content-MD5',
  'Content-Digest',
  'Repr-Digest',
  'Digest',
  'Accept-Ranges',
  'ETag',
  'Last-Modified',
].map((name) => new FieldName(name))

/** Members of the standard, which extensions can't be (RFC 9457 3.1). */
const MEMBERS = new Set(['type', 'title', 'status', 'detail', 'instance'])

export const problemDetails = definePlugin({
  schema,

  refuse({ members }) {
    const taken = Object.keys(members).find((name) => MEMBERS.has(name))
    return taken === undefined
      ? null
      : { field: `members.${taken}`, message: 'expected a name that is not of the standard' }
  },

  prepare(config): State {
    return { config, extensions: Object.entries(config.members) }
  },

  responseHeaders(exchange, state) {
    const { response } = exchange
    const isOwn = response.source !== 'service' && response.made?.stored == null
    if (!isOwn) response.status = mapped(response.status, state.config.status_map)
    if (response.status < 400 || isGrpc(exchange)) return
    const draft = isOwn ? ofGateway(exchange, state) : ofUpstream(exchange, state)
    if (draft === null) return
    CONTENT_TYPE.set(response.headers, CONTENT_TYPES[draft.form])
    for (let i = 0; i < OF_BODY.length; i++) OF_BODY[i]!.remove(response.headers)
    exchange.shared.set(DRAFT, draft)
  },

  responseBody(exchange): BodyTransform | null {
    const draft = exchange.recall(DRAFT) as Draft | undefined
    return draft === undefined ? null : draft.readsBody ? new Conversion(draft) : replacement(draft)
  },
})

function ofGateway(exchange: Exchange, state: State): Draft | null {
  const { made } = exchange.response
  if (!state.config.gateway_errors || made === null) return null
  const form = negotiate(ACCEPT.get(exchange.request.headers))
  const message = made.message ?? (isJson(made.contentType) ? messageIn(made.body) : null)
  // Pages, and what plugins answer in a form of their own, stay as they are.
  if (form === null || message === null) return null
  return { form, problem: problemOf(exchange, state, message), readsBody: false }
}

function ofUpstream(exchange: Exchange, state: State): Draft | null {
  const { response, request } = exchange
  const { upstream_client_errors: client, upstream_server_errors: server } = state.config
  // By what the upstream answered: what is hidden of a 500 stays hidden when clients see a 404.
  const status = exchange.upstreamStatus === 0 ? response.status : exchange.upstreamStatus
  const handling: Handling = status < 500 ? client : server
  if (handling === 'keep') return null
  const type = CONTENT_TYPE.get(response.headers)
  if (handling === 'convert' && /^application\/problem\+(?:json|xml)\b/i.test(type ?? '')) return null
  const form = negotiate(ACCEPT.get(request.headers)) ?? 'json'
  const readsBody = handling === 'convert' && isJson(type) && !response.headers.has('content-encoding')
  return { form, problem: problemOf(exchange, state, null), readsBody }
}

function problemOf(
  { id, response: { status } }: Exchange,
  { config, extensions }: State,
  message: string | null,
): Problem {
  const known = config.problems[String(status)] ?? config.problems[`${Math.floor(status / 100)}xx`]
  return {
    type: known?.type ?? (config.type_base === null ? 'about:blank' : `${config.type_base}${status}`),
    title: known?.title ?? titleOf(status),
    status,
    detail: known?.detail ?? message,
    instance: `urn:request:${id}`,
    extensions,
  }
}

function mapped(status: number, map: Config['status_map']): number {
  return status < 400 ? status : (map[String(status)] ?? map[`${Math.floor(status / 100)}xx`] ?? status)
}

function isJson(contentType: string | null): boolean {
  return contentType !== null && /^application\/(?:[\w.-]+\+)?json\b/i.test(contentType)
}

/** Calls of gRPC have their errors in trailers. */
function isGrpc({ request }: Exchange): boolean {
  return /^application\/grpc\b/i.test(CONTENT_TYPE.get(request.headers) ?? '')
}

function replacement({ form, problem }: Draft): BodyTransform {
  return { chunk: () => null, end: () => render(form, problem) }
}

/** Looks for the detail in the body that comes, as far as it is kept. */
class Conversion implements BodyTransform {
  readonly #draft: Draft
  readonly #parts: Buffer[] = []
  #bytes = 0

  constructor(draft: Draft) {
    this.#draft = draft
  }

  chunk(bytes: Buffer): null {
    this.#bytes += bytes.length
    if (this.#bytes <= READ_BYTES) this.#parts.push(Buffer.from(bytes))
    return null
  }

  end(): Buffer {
    const { form, problem } = this.#draft
    const detail = problem.detail ?? (this.#bytes <= READ_BYTES ? detailIn(Buffer.concat(this.#parts)) : null)
    return render(form, { ...problem, detail })
  }
}
