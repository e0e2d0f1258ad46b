/** Announces that an API goes away (RFC 9745, RFC 8594), says who still calls it, and takes it away: at times, then for good. */
import { definePlugin, FieldName, type Exchange, type Exit, type MetricsSink } from '#pdk'
import { brownoutEnd, parseMoment, type Brownout } from './moments.ts'
import { schema, type Config } from './schema.ts'

interface State {
  readonly config: Config
  readonly deprecation: string | null
  readonly sunset: string | null
  readonly links: string | null
  readonly warning: string | null
  /** Unix ms; Infinity for never. */
  readonly deprecatedAtMs: number
  readonly sunsetAtMs: number
  readonly brownouts: readonly Brownout[]
  /** Around the path of the request; null when `redirect_location` is given as it stands. */
  readonly around: { readonly origin: string; readonly fragment: string } | null
  readonly metrics: MetricsSink
}

const DEPRECATION = new FieldName('Deprecation')
const SUNSET = new FieldName('Sunset')
const LINK = new FieldName('Link')
const WARNING = new FieldName('Warning')

export const deprecation = definePlugin({
  schema,

  refuse(config) {
    const moments: [field: string, text: string | null][] = [
      ['deprecated_at', config.deprecated_at],
      ['sunset_at', config.sunset_at],
      ...config.brownouts.map(({ starts_at }, index): [string, string] => [`brownouts.${index}.starts_at`, starts_at]),
    ]
    const wrong = moments.find(([, text]) => text !== null && parseMoment(text) === null)
    if (wrong !== undefined) return { field: wrong[0], message: `there is no such moment: ${wrong[1]}` }
    // RFC 9745 4: what is gone before it is deprecated was announced too late.
    if (momentOf(config.sunset_at) < momentOf(config.deprecated_at) && config.deprecated_at !== null)
      return { field: 'sunset_at', message: 'expected a moment that is not before deprecated_at' }
    if (config.after_sunset === 'redirect' && config.redirect_location === null)
      return { field: 'redirect_location', message: 'required where after_sunset is redirect' }
    const endless = config.brownouts.findIndex(({ every, duration }) => every !== null && every <= duration)
    return endless < 0
      ? null
      : { field: `brownouts.${endless}.every`, message: 'expected more seconds than duration has' }
  },

  prepare(config, { metrics }): State {
    const deprecatedAtMs = momentOf(config.deprecated_at)
    const sunsetAtMs = momentOf(config.sunset_at)
    return {
      config,
      deprecation: config.deprecated_at === null ? null : `@${Math.floor(deprecatedAtMs / 1000)}`,
      sunset: config.sunset_at === null ? null : new Date(sunsetAtMs).toUTCString(),
      links: linksOf(config),
      // 299: it stays true for as long as the response is kept (RFC 7234 5.5.7).
      warning: config.warning === null ? null : `299 - "${config.warning.replace(/["\\]/g, '\\$&')}"`,
      deprecatedAtMs,
      sunsetAtMs,
      brownouts: config.brownouts.map(({ starts_at, duration, every, percent }) => ({
        startsAtMs: momentOf(starts_at),
        durationMs: duration * 1000,
        everyMs: (every ?? 0) * 1000,
        part: percent / 100,
      })),
      around: config.keep_incoming_path && config.redirect_location !== null ? partsOf(config.redirect_location) : null,
      metrics,
    }
  },

  access(exchange, state): Exit | void {
    const { now } = exchange
    if (now >= state.sunsetAtMs) {
      count(exchange, state, 'retired')
      return afterSunset(exchange, state)
    }
    const endMs = brownoutOf(exchange, state)
    if (endMs > 0) {
      count(exchange, state, 'brownout')
      const { brownout_status: status, brownout_message: message } = state.config
      const headers = status === 410 ? {} : { 'Retry-After': String(Math.ceil((endMs - now) / 1000)) }
      return exchange.fail(status, message, { headers })
    }
    count(exchange, state, now >= state.deprecatedAtMs ? 'deprecated' : 'announced')
  },

  responseHeaders({ response: { headers } }, state) {
    if (state.deprecation !== null) DEPRECATION.set(headers, state.deprecation)
    if (state.sunset !== null) SUNSET.set(headers, state.sunset)
    if (state.links !== null) LINK.append(headers, state.links)
    if (state.warning !== null) WARNING.append(headers, state.warning)
  },
})

function momentOf(text: string | null): number {
  return text === null ? Infinity : (parseMoment(text) ?? Infinity)
}

function linksOf({ deprecation_link, sunset_link, successor_link }: Config): string | null {
  const links = [
    [deprecation_link, 'deprecation'],
    [sunset_link, 'sunset'],
    [successor_link, 'successor-version'],
  ].flatMap(([url, relation]) => (url == null ? [] : [`<${new URL(url).href}>; rel="${relation}"`]))
  return links.length === 0 ? null : links.join(', ')
}

function afterSunset(exchange: Exchange, { config, around }: State): Exit | void {
  if (config.after_sunset === 'serve') return
  if (config.after_sunset === 'refuse') return exchange.fail(410, config.message)
  let location = config.redirect_location!
  if (around !== null) {
    const { rawPath, query } = exchange.request
    location = around.origin + rawPath + (query === null ? '' : `?${query}`) + around.fragment
  }
  return exchange.exit(config.redirect_status, null, { headers: { Location: location } })
}

/** When the brown-out ends that this request falls into; 0 when it falls into none. */
function brownoutOf(exchange: Exchange, { brownouts }: State): number {
  for (let i = 0; i < brownouts.length; i++) {
    const brownout = brownouts[i]!
    const endMs = brownoutEnd(brownout, exchange.now)
    if (endMs > 0 && chanceOf(exchange) < brownout.part) return endMs
  }
  return 0
}

/** From 0 to below 1, by the request's id, which is random. */
function chanceOf({ id }: Exchange): number {
  return Number.parseInt(id.slice(0, 8), 16) / 2 ** 32
}

function count(exchange: Exchange, { config, metrics }: State, stage: Stage): void {
  const { consumer, service, route } = exchange
  const api = config.name ?? service?.name ?? route?.name ?? ''
  metrics.deprecatedUsed(api, consumer?.username ?? consumer?.custom_id ?? '', stage)
}

type Stage = 'announced' | 'deprecated' | 'brownout' | 'retired'

/** The parts of a URL that the request does not replace, as text. */
function partsOf(location: string): { readonly origin: string; readonly fragment: string } {
  const [, origin = '', fragment = ''] = /^([^:/?#]+:\/\/[^/?#]*)[^#]*(#.*)?$/.exec(location) ?? []
  return { origin, fragment }
}
