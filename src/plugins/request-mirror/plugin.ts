/** Sends copies of requests to a shadow, whose answers nobody sees. */
import { definePlugin, FieldName, type Exchange, type MetricsSink, type PluginLog, type ServicePlace } from '#pdk'
import { CopyHeads, type CopyHead } from './copy.ts'
import { schema, type Config } from './schema.ts'
import { Sender } from './sender.ts'

const SHARED = 'request-mirror'
/** That copies fail is logged so often; the metrics count each. */
const TELL_MS = 60_000
const UPGRADE = new FieldName('Upgrade')
const CONTENT_TYPE = new FieldName('Content-Type')

type Fate = 'sent' | 'failed' | 'dropped_full' | 'dropped_size' | 'dropped_incomplete' | 'dropped_no_target'

interface State {
  readonly config: Config
  readonly heads: CopyHeads
  readonly sender: Sender
  readonly methods: ReadonlySet<string> | null
  readonly mark: FieldName
  readonly metrics: MetricsSink
  readonly log: PluginLog
  /** When the log said last that copies do not arrive; Unix ms. */
  toldAtMs: number
}

export const requestMirror = definePlugin({
  schema,

  refuse({ url, service }) {
    if ((url === null) === (service === null)) return { field: 'url', message: 'expected one of url and service' }
    if (url !== null && !/^https?:\/\/[^/?#@]+(?:\/[^?#]*)?$/i.test(url))
      return { field: 'url', message: 'expected http:// or https://, without user, query and fragment' }
    return null
  },

  prepare(config, { lookup, trusted, metrics, log }): State {
    const state: State = {
      config,
      heads: new CopyHeads(config),
      methods: config.methods === null ? null : new Set(config.methods),
      mark: new FieldName(config.mark_header),
      metrics,
      log,
      toldAtMs: 0,
      sender: new Sender({
        queueSize: config.queue_size,
        concurrency: config.concurrency,
        timeoutMs: config.timeout,
        connectTimeoutMs: config.connect_timeout,
        isVerified: config.ssl_verify,
        trusted,
        lookup,
        ended: (problem, bytes) => ended(state, problem, bytes),
      }),
    }
    return state
  },

  access(exchange, state): void {
    const { request } = exchange
    const { config, methods } = state
    if (methods !== null && !methods.has(request.method)) return
    if (config.percent < 100 && Math.random() * 100 >= config.percent) return
    // A copy that comes by here again is not copied: it would go round for ever.
    if (state.mark.has(request.headers) || UPGRADE.has(request.headers)) return
    // A call of gRPC needs HTTP/2.
    if (CONTENT_TYPE.get(request.headers)?.startsWith('application/grpc') === true) return
    if (!state.sender.reserve()) return count(state, 'dropped_full')
    const pending = new Pending(state)
    exchange.shared.set(SHARED, pending)
    if (config.service === null) return pending.begin(exchange, null)
    const place = exchange.chooser?.locate(config.service) ?? null
    if (place === null) return pending.drop('dropped_no_target')
    if (!(place instanceof Promise)) return pending.begin(exchange, place)
    void place.then((found) => (found === null ? pending.drop('dropped_no_target') : pending.begin(exchange, found)))
  },

  log(exchange) {
    // A body that has not come by now will not.
    ;(exchange.recall(SHARED) as Pending | undefined)?.drop('dropped_incomplete')
  },

  close({ sender }) {
    sender.close()
  },
})

/** A copy on its way to the sender. */
class Pending {
  readonly #state: State
  #isSettled = false

  constructor(state: State) {
    this.#state = state
  }

  begin(exchange: Exchange, place: ServicePlace | null): void {
    if (this.#isSettled) return
    const { heads, config } = this.#state
    const head = heads.of(exchange, place)
    const { body } = exchange.request
    body.copy(config.max_body_bytes, (bytes) => {
      if (!Buffer.isBuffer(bytes)) return this.drop(bytes.error === 'too_large' ? 'dropped_size' : 'dropped_incomplete')
      this.#send(head, body.exists || bytes.length > 0 ? bytes : null)
    })
  }

  drop(fate: Fate): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#state.sender.giveBack()
    count(this.#state, fate)
  }

  #send(head: CopyHead, body: Buffer | null): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#state.sender.send(head, body)
  }
}

function ended(state: State, problem: string | null, bytes: number): void {
  count(state, problem === null ? 'sent' : 'failed')
  state.metrics.countedBytes(schema.name, 'sent', problem === null ? bytes : 0)
  const nowMs = Date.now()
  if (problem === null || nowMs - state.toldAtMs < TELL_MS) return
  state.toldAtMs = nowMs
  state.log.warn({ problem }, 'copies of requests do not arrive at the shadow')
}

function count({ metrics }: State, fate: Fate): void {
  metrics.counted(schema.name, fate)
}
