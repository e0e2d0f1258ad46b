/** Changes responses on their way to the client, as Kong's response-transformer does. */
import { definePlugin, type BodyTransform, type Exchange, type PluginLog } from '#pdk'
import { compileHeaders, transformHeaders, type HeaderOperations } from './head.ts'
import { compileJson, transformJson, type JsonOperations } from './json.ts'
import { schema } from './schema.ts'

/** Bodies over this size can't be changed, since that takes the whole body in memory; they pass as they came. */
const BODY_LIMIT_BYTES = 8 << 20

interface State {
  readonly headers: HeaderOperations | null
  readonly json: JsonOperations | null
  readonly log: PluginLog
  /** Whether the log has said that a body was too big. */
  hasWarned: boolean
}

export const responseTransformer = definePlugin({
  schema,

  prepare({ remove, rename, replace, add, append }, { log }): State {
    return {
      headers: compileHeaders({
        remove: remove.headers,
        rename: rename.headers,
        replace: replace.headers,
        add: add.headers,
        append: append.headers,
      }),
      json: compileJson({ remove, rename, replace, add, append }),
      log,
      hasWarned: false,
    }
  },

  responseHeaders({ response }, { headers }) {
    if (headers !== null) transformHeaders(response.headers, headers)
  },

  responseBody({ response }: Exchange, state): BodyTransform | null {
    return state.json !== null && isJson(response.headers.get('content-type')) ? new JsonBody(state, state.json) : null
  },
})

/** Collects a body and changes it when it is whole. */
class JsonBody implements BodyTransform {
  readonly #state: State
  readonly #operations: JsonOperations
  #parts: Buffer[] = []
  #bytes = 0

  constructor(state: State, operations: JsonOperations) {
    this.#state = state
    this.#operations = operations
  }

  chunk(bytes: Buffer): Buffer | null {
    if (this.#bytes > BODY_LIMIT_BYTES) return bytes
    this.#bytes += bytes.length
    this.#parts.push(Buffer.from(bytes))
    return this.#bytes > BODY_LIMIT_BYTES ? this.#passOn() : null
  }

  end(): Buffer | null {
    const whole = this.#take()
    if (whole.length === 0) return null
    return transformJson(whole, this.#operations) ?? whole
  }

  #passOn(): Buffer {
    if (!this.#state.hasWarned) {
      this.#state.hasWarned = true
      this.#state.log.warn(
        { limit_bytes: BODY_LIMIT_BYTES },
        'a response was too big to be transformed and passed unchanged',
      )
    }
    return this.#take()
  }

  #take(): Buffer {
    const parts = this.#parts
    this.#parts = []
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }
}

/** One of the types listed is exactly application/json, whatever its parameters. */
function isJson(contentType: string | null): boolean {
  if (contentType === null) return false
  return contentType.split(',').some((type) => /^\s*application\/json\s*(?:;|$)/i.test(type))
}
