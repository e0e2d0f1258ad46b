/** What tests of this plugin share: a cache, and requests that go through the plugin's phases. */
import assert from 'node:assert/strict'
import type { Exchange, Exit } from '#pdk'
import {
  FakeMetrics,
  FakeResponses,
  FakeSharedStore,
  fakeExchange,
  prepare,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { proxyCache } from './plugin.ts'
import type { State } from './state.ts'

export const route = { id: '00000000-0000-4000-8000-00000000000a' }
export const JSON_TYPE = { 'Content-Type': 'application/json' }

export interface Opened {
  readonly responses: FakeResponses
  readonly metrics: FakeMetrics
  readonly state: State
}

/** A node; with `store` one of several that share what is in it. */
export function opened(config: object = {}, store: FakeSharedStore | null = null): Opened {
  const responses = new FakeResponses()
  responses.nowMs = Date.now
  const strategy = store === null ? { strategy: 'memory' } : { strategy: 'redis', redis: { host: 'redis.test' } }
  const metrics = new FakeMetrics()
  const tools = { responses, metrics, ...(store !== null && { sharedResponses: () => store.of(responses) }) }
  return { responses, metrics, state: prepare(proxyCache, { ...strategy, ...config }, tools) }
}

/** With `cache_control`. */
export const rfc = (config: object = {}): Opened => opened({ cache_control: true, ...config })

export interface UpstreamAnswer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

export interface Asked {
  /** Of the access phase; null when the upstream was asked. */
  readonly exit: Exit | null
  readonly exchange: Exchange
  /** What X-Cache-Status says. */
  readonly status: string | null
  /** Requests that the plugin made of this one without a client, when they have ended. */
  readonly repeated: readonly Promise<Asked>[]
}

/** Runs the access phase, and what follows when the upstream is asked; what is repeated is answered by `upstream` as well. */
export async function ask(
  cache: Opened,
  request: FakeExchangeOptions = {},
  upstream: UpstreamAnswer | 'unreachable' = {},
): Promise<Asked> {
  const repeated: Promise<Asked>[] = []
  const exchange = exchangeOf(request, upstream)
  exchange.chooser = {
    choose: () => false,
    locate: () => null,
    repeat: (plugin, withinMs, begin) => {
      assert.deepEqual([plugin, withinMs], ['proxy-cache', exchange.upstream.readTimeoutMs])
      const copy = exchangeOf(request, upstream)
      copy.hasClient = false
      begin(copy)
      repeated.push(pass(cache, copy, upstream, []))
      return true
    },
  }
  return await pass(cache, exchange, upstream, repeated)
}

function exchangeOf(request: FakeExchangeOptions, upstream: UpstreamAnswer | 'unreachable'): Exchange {
  const { status = 200, headers = {} } = upstream === 'unreachable' ? { status: 502 } : upstream
  const response = { status, headers: { ...JSON_TYPE, ...headers } }
  const exchange = fakeExchange({ now: Date.now(), route, ...request, response })
  exchange.upstream.readTimeoutMs = 5000
  return exchange
}

async function pass(
  { state }: Opened,
  exchange: Exchange,
  upstream: UpstreamAnswer | 'unreachable',
  repeated: readonly Promise<Asked>[],
): Promise<Asked> {
  const exit = (await proxyCache.access!(exchange, state)) as Exit | undefined
  if (exit !== undefined) {
    proxyCache.log!(exchange, state)
    return { exit, exchange, status: exit.stored?.get('x-cache-status') ?? null, repeated }
  }
  if (upstream === 'unreachable') exchange.response.source = 'error'
  proxyCache.responseHeaders!(exchange, state)
  const transform = proxyCache.responseBody!(exchange, state)
  const body = Buffer.from((upstream === 'unreachable' ? undefined : upstream.body) ?? 'hello')
  if (transform !== null) {
    assert.deepEqual(transform.chunk(body), body)
    assert.equal(transform.end(), null)
  }
  proxyCache.log!(exchange, state)
  return { exit: null, exchange, status: exchange.response.headers.get('x-cache-status'), repeated }
}
