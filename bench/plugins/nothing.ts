/** An operator's plugin that does nothing in every phase: what it costs that there is one. */
import { definePlugin, definePluginSchema } from '#pdk'

export default definePlugin({
  schema: definePluginSchema({
    name: 'nothing',
    version: '1.0.0',
    priority: 500,
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: {},
  }),
  prepare: () => null,
  access: () => undefined,
  responseHeaders: () => undefined,
  log: () => undefined,
})
