import { definePlugin, definePluginSchema, t } from 'meridian/pdk'

/** Announces when an API goes away (RFC 8594), and refuses it once it has. */
export default definePlugin({
  schema: definePluginSchema({
    name: 'sunset',
    version: '1.0.0',
    priority: 820,
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: {
      at: t.number({ required: true, gt: 0 }), // Unix time, seconds
      link: t.string(),
    },
  }),

  // Runs once per change of the configuration; requests see only its result.
  prepare(config) {
    return {
      atMs: config.at * 1000,
      date: new Date(config.at * 1000).toUTCString(),
      link: config.link === null ? null : `<${config.link}>; rel="sunset"`,
    }
  },

  access(exchange, { atMs }) {
    if (exchange.now >= atMs) return exchange.fail(410, 'This API is no longer served')
    return undefined
  },

  responseHeaders({ response }, { date, link }) {
    response.headers.set('Sunset', date)
    if (link !== null) response.headers.append('Link', link)
  },
})
