/** The plugins of one route, resolved, configured and ordered: what the request path runs without looking anything up. */
import type { BodyEncoding } from '#pdk/body-encoding.ts'
import type { AnyPlugin, BodyTransform, ResponseHold } from '#pdk/pdk.ts'
import type { Exchange, Exit } from '#pdk/exchange.ts'
import type { Plugin as PluginDocument } from '#model/entities/plugin.ts'
import { STREAM_PROTOCOLS } from '#model/stream-protocols.ts'
import { areTimed, timed } from './phase-timing.ts'

/** A configured plugin: made once per plugin entity and shared by every plan that uses it. */
export interface PluginInstance {
  readonly id: string
  readonly name: string
  /** A number for the id, see `core/pulse.ts`. */
  readonly idHash: number
  readonly plugin: AnyPlugin
  readonly document: PluginDocument
  /** Id of the workspace that it is in. */
  readonly workspace: string
  readonly state: unknown
  /** Why `prepare` failed: the instance then fails requests closed. */
  readonly broken: Error | null
}

export interface Step<R> {
  readonly instance: PluginInstance
  readonly run: (exchange: Exchange, state: unknown) => R
}

export interface EncodingStep {
  readonly instance: PluginInstance
  readonly run: (exchange: Exchange, state: unknown, length: number) => BodyEncoding | null
}

export interface Plan {
  /** Every instance in the order of execution. */
  readonly instances: readonly PluginInstance[]
  readonly access: readonly Step<void | Exit | Promise<void | Exit>>[]
  /** Whether any plugin looks at responses before their bodies: one test for those without. */
  readonly seesResponses: boolean
  readonly responseHold: readonly Step<ResponseHold | null>[]
  readonly responseHeaders: readonly Step<void>[]
  readonly responseBody: readonly Step<BodyTransform | null>[]
  readonly responseEncoding: readonly EncodingStep[]
  /** What no log may show is taken away first. */
  readonly log: readonly Step<void>[]
  /** Of sessions below HTTP. */
  readonly preread: readonly Step<void | Exit | Promise<void | Exit>>[]
  readonly sessionLog: readonly Step<void>[]
}

/** As in Kong, a plugin runs in a subsystem when one of its protocols is of it. */
const HTTP: ReadonlySet<string> = new Set(['http', 'https', 'grpc', 'grpcs', 'ws', 'wss'])

export function createPlan(instances: readonly PluginInstance[]): Plan {
  const access: Plan['access'][number][] = []
  const responseHold: Plan['responseHold'][number][] = []
  const responseHeaders: Plan['responseHeaders'][number][] = []
  const responseBody: Plan['responseBody'][number][] = []
  const responseEncoding: EncodingStep[] = []
  const redact: Plan['log'][number][] = []
  const log: Plan['log'][number][] = []
  const preread: Plan['preread'][number][] = []
  const sessionLog: Plan['sessionLog'][number][] = []
  for (const instance of instances) {
    const { plugin, document } = instance
    if (document.protocols.some((protocol) => STREAM_PROTOCOLS.has(protocol))) {
      if (instance.broken !== null) preread.push({ instance, run: failClosed })
      else {
        if (plugin.preread) preread.push({ instance, run: plugin.preread })
        if (plugin.sessionLog) sessionLog.push({ instance, run: plugin.sessionLog })
      }
    }
    if (!document.protocols.some((protocol) => HTTP.has(protocol))) continue
    if (instance.broken !== null) {
      access.push({ instance, run: failClosed })
      continue
    }
    if (plugin.access) access.push({ instance, run: plugin.access })
    if (plugin.responseHold) responseHold.push({ instance, run: plugin.responseHold })
    if (plugin.responseHeaders) responseHeaders.push({ instance, run: plugin.responseHeaders })
    if (plugin.responseBody) responseBody.push({ instance, run: plugin.responseBody })
    if (plugin.responseEncoding) responseEncoding.push({ instance, run: plugin.responseEncoding })
    if (plugin.redact) redact.push({ instance, run: plugin.redact })
    if (plugin.log) log.push({ instance, run: plugin.log })
  }
  const rest = {
    instances,
    seesResponses: responseHold.length + responseHeaders.length > 0,
    responseHold,
    responseBody,
    responseEncoding,
    log: [...redact, ...log],
    preread,
    sessionLog,
  }
  if (!areTimed(instances)) return { ...rest, access, responseHeaders }
  return { ...rest, access: timed(access, 'access'), responseHeaders: timed(responseHeaders, 'header_filter') }
}

/** What global plugins do before a route is known. */
export function rewriteSteps({ instances }: Plan): Step<void | Exit | Promise<void | Exit>>[] {
  const steps = instances.flatMap((instance) =>
    instance.plugin.rewrite && instance.broken === null ? [{ instance, run: instance.plugin.rewrite }] : [],
  )
  return areTimed(instances) ? timed(steps, 'rewrite') : steps
}

export const EMPTY_PLAN: Plan = createPlan([])

/** An instance that could not be prepared must not let requests pass unguarded. */
function failClosed(exchange: Exchange): Exit {
  return exchange.fail(500, 'An unexpected error occurred')
}
