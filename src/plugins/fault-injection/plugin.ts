/** Delays and refuses requests on purpose, for drills: what happens to clients when the upstream is slow, or fails. */
import { encodeGrpcMessage } from '#core/grpc-message.ts'
import { definePlugin, FieldName, type Exchange, type Exit, type MetricsSink } from '#pdk'
import { FieldMatch } from '#pdk/field-match.ts'
import { delayOf } from './delay.ts'
import { refusalOf } from './refusal.ts'
import { schema, type AbortConfig, type Config } from './schema.ts'

const SHARED = 'fault-injection'
const CONTENT_TYPE = new FieldName('Content-Type')
const GRPC = 'application/grpc'

interface State {
  readonly config: Config
  readonly matches: readonly FieldMatch[]
  readonly untilMs: number
  readonly faultHeader: FieldName | null
  readonly metrics: MetricsSink
  /** Requests that are being delayed. */
  delayed: number
}

/** What is done to one exchange. */
class Fault {
  /** As `fault_header` has it. */
  text = ''
  timer: NodeJS.Timeout | null = null
  /** Ends the delay; null while there is none. */
  goOn: (() => void) | null = null
  isOver = false

  note(what: string): void {
    this.text += this.text === '' ? what : `, ${what}`
  }
}

export const faultInjection = definePlugin({
  schema,
  refuse: refusalOf,

  prepare(config, { metrics, log, workerIndex, pluginId }): State {
    // All workers do it; one says so.
    if (workerIndex === 0) log.warn({ plugin_id: pluginId, until: config.until }, 'faults are injected into requests')
    return {
      config,
      matches: config.match.map(({ header, cookie, values }) =>
        header === null ? FieldMatch.cookie(cookie!, values) : FieldMatch.header(header, values),
      ),
      untilMs: config.until === null ? Infinity : config.until * 1000,
      faultHeader: config.fault_header === null ? null : new FieldName(config.fault_header),
      metrics,
      delayed: 0,
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    if (exchange.now >= state.untilMs || !isMeant(exchange, state.matches)) return
    const { delay, abort, max_delayed } = state.config
    const isDelayed = delay !== null && happens(delay.percent)
    const isAborted = abort !== null && happens(abort.percent)
    if (!isDelayed && !isAborted) return
    const fault = new Fault()
    exchange.shared.set(SHARED, fault)
    if (isDelayed && state.delayed < max_delayed) return delayed(exchange, state, fault, isAborted)
    if (isDelayed) state.metrics.counted(schema.name, 'passed_busy')
    if (isAborted) return aborted(exchange, state, fault, abort)
  },

  responseHeaders(exchange, { faultHeader }) {
    const fault = exchange.recall(SHARED) as Fault | undefined
    if (fault === undefined || faultHeader === null || fault.text === '') return
    faultHeader.set(exchange.response.headers, fault.text)
  },

  log(exchange) {
    const fault = exchange.recall(SHARED) as Fault | undefined
    if (fault === undefined) return
    // The client of a delayed request may have left.
    fault.isOver = true
    fault.goOn?.()
  },
})

function isMeant({ request }: Exchange, matches: readonly FieldMatch[]): boolean {
  return matches.every((match) => match.isIn(request.headers))
}

function happens(percent: number): boolean {
  return percent >= 100 || Math.random() * 100 < percent
}

async function delayed(exchange: Exchange, state: State, fault: Fault, isAborted: boolean): Promise<void | Exit> {
  const { delay, abort } = state.config
  const ms = delayOf(delay!, Math.random)
  state.delayed++
  state.metrics.counted(schema.name, 'delayed')
  fault.note(`delay=${ms}`)
  tell(exchange, fault)
  await new Promise<void>((resolve) => {
    const goOn = () => {
      clearTimeout(fault.timer!)
      fault.goOn = null
      resolve()
    }
    fault.goOn = goOn
    fault.timer = setTimeout(goOn, ms)
  })
  state.delayed--
  return isAborted && !fault.isOver ? aborted(exchange, state, fault, abort!) : undefined
}

function aborted(exchange: Exchange, state: State, fault: Fault, config: AbortConfig): Exit {
  const { status, body, content_type: contentType, grpc_status, grpc_message } = config
  state.metrics.counted(schema.name, 'aborted')
  const isGrpc = CONTENT_TYPE.get(exchange.request.headers)?.startsWith(GRPC) === true
  if (isGrpc && grpc_status !== null) {
    fault.note(`abort=grpc-${grpc_status}`)
    tell(exchange, fault)
    return exchange.exit(200, null, {
      contentType: GRPC,
      headers: {
        'grpc-status': String(grpc_status),
        ...(grpc_message !== null && { 'grpc-message': encodeGrpcMessage(grpc_message) }),
      },
    })
  }
  fault.note(`abort=${status}`)
  tell(exchange, fault)
  if (body !== null) return exchange.exit(status, body, { contentType })
  return status < 400 ? exchange.exit(status, null) : exchange.fail(status, MESSAGE)
}

const MESSAGE = 'The request was refused on purpose'

/** Whoever reads the log is not to look for an error that is a drill. */
function tell(exchange: Exchange, { text }: Fault): void {
  ;(exchange.logFields ??= {})['fault_injection'] = text
}
