/** What plugins do after the response's head is there. A plugin that throws is counted and logged; the others go on. */
import type { BodyEncoding } from '#pdk/body-encoding.ts'
import type { BodyTransform } from '#pdk/pdk.ts'
import type { Exchange } from '#pdk/exchange.ts'
import type { Plan, PluginInstance } from '#snapshot/snapshot.ts'
import { keepsLength, transformWhole } from './response-transform.ts'
import type { ProxyEvents } from './worker-context.ts'

export function runResponseHeaders(plan: Plan, exchange: Exchange, events: ProxyEvents): void {
  const { responseHeaders } = plan
  for (let i = 0; i < responseHeaders.length; i++) {
    const step = responseHeaders[i]!
    try {
      step.run(exchange, step.instance.state)
    } catch (error) {
      events.pluginFailed(exchange, step.instance, 'responseHeaders', error)
    }
  }
}

/** Those that want to see the body, in order; null when none does. */
export function startTransforms(plan: Plan, exchange: Exchange, events: ProxyEvents): BodyTransform[] | null {
  const transforms: BodyTransform[] = []
  for (const step of plan.responseBody) {
    try {
      const transform = step.run(exchange, step.instance.state)
      if (transform !== null)
        transforms.push(
          guarded(transform, (error) => {
            events.pluginFailed(exchange, step.instance, 'responseBody', error)
          }),
        )
    } catch (error) {
      events.pluginFailed(exchange, step.instance, 'responseBody', error)
    }
  }
  return transforms.length > 0 ? transforms : null
}

/** A transform that throws is told of once; the error goes on, for a body that is half changed can't be sent. */
function guarded(transform: BodyTransform, failed: (error: unknown) => void): BodyTransform {
  const tell = <T>(step: () => T): T => {
    try {
      return step()
    } catch (error) {
      failed(error)
      throw error
    }
  }
  return {
    chunk: (bytes) => tell(() => transform.chunk(bytes)),
    end: (trailers) => tell(() => transform.end(trailers)),
    ...(transform.keepsLength && { keepsLength: true }),
  }
}

export interface BodyChanges {
  readonly transforms: readonly BodyTransform[] | null
  readonly encoding: ChosenEncoding | null
  /** Whether the body that goes out may have another length than the one that comes. */
  readonly hasOtherLength: boolean
}

/** What plugins make of the body of an upstream's response, of `length` bytes (-1: not known); null for nothing. */
export function changesOf(plan: Plan, exchange: Exchange, length: number, events: ProxyEvents): BodyChanges | null {
  if (plan.responseBody.length === 0 && plan.responseEncoding.length === 0) return null
  const transforms = plan.responseBody.length === 0 ? null : startTransforms(plan, exchange, events)
  const isTransformed = transforms !== null && !transforms.every(keepsLength)
  const encoding =
    plan.responseEncoding.length === 0 ? null : encodingOf(plan, exchange, isTransformed ? -1 : length, events)
  if (transforms === null && encoding === null) return null
  return { transforms, encoding, hasOtherLength: isTransformed || encoding !== null }
}

/** Changes the body of an answer of the gateway's own. When a plugin throws, what it was to change must not be seen unchanged. */
export function transformOwn(plan: Plan, exchange: Exchange, body: Buffer | null, events: ProxyEvents): Buffer | null {
  const transforms = startTransforms(plan, exchange, events)
  if (transforms === null) return body
  try {
    return transformWhole(transforms, body ?? NO_BYTES)
  } catch {
    // Told by the transform's guard.
    exchange.response.status = 500
    return NO_BYTES
  }
}

/** How a body is encoded, and whose doing that is. */
export class ChosenEncoding {
  readonly encoding: BodyEncoding
  readonly #instance: PluginInstance
  readonly #exchange: Exchange
  readonly #events: ProxyEvents

  constructor(encoding: BodyEncoding, instance: PluginInstance, exchange: Exchange, events: ProxyEvents) {
    this.encoding = encoding
    this.#instance = instance
    this.#exchange = exchange
    this.#events = events
  }

  failed(error: unknown): void {
    this.#events.pluginFailed(this.#exchange, this.#instance, 'responseEncoding', error)
  }
}

/**
 * How the body is encoded for this client: the first plugin that wants to decides. It changes a copy of the headers, for those who kept
 * the response before keep it as it was. `length` -1: not known.
 */
export function encodingOf(plan: Plan, exchange: Exchange, length: number, events: ProxyEvents): ChosenEncoding | null {
  const { response } = exchange
  response.headers = response.headers.clone()
  for (const { instance, run } of plan.responseEncoding) {
    try {
      const encoding = run(exchange, instance.state, length)
      if (encoding !== null) return new ChosenEncoding(encoding, instance, exchange, events)
    } catch (error) {
      events.pluginFailed(exchange, instance, 'responseEncoding', error)
    }
  }
  return null
}

export function runLog(plan: Plan, exchange: Exchange, events: ProxyEvents): void {
  const { log } = plan
  for (let i = 0; i < log.length; i++) {
    const step = log[i]!
    try {
      step.run(exchange, step.instance.state)
    } catch (error) {
      events.pluginFailed(exchange, step.instance, 'log', error)
    }
  }
}

const NO_BYTES = Buffer.alloc(0)
