/** Gives every request an id that the upstream and, if asked for, the client see, as Kong's correlation-id does. */
import { randomUUID } from 'node:crypto'
import { definePlugin, type Exchange } from '#pdk'
import { schema } from './schema.ts'

interface State {
  readonly header: string
  readonly isEchoed: boolean
  readonly generate: (exchange: Exchange) => string
}

/** Where other plugins and the log find the id. */
export const CORRELATION_ID = 'correlation_id'

export const correlationId = definePlugin({
  schema,

  refuse(config) {
    if (config.header_name === null || /^[\w!#$%&'*+.^`|~-]+$/.test(config.header_name)) return null
    return { field: 'header_name', message: `expected a header name (RFC 9110 5.1), got '${config.header_name}'` }
  },

  prepare(config): State {
    return {
      header: config.header_name ?? 'Kong-Request-ID',
      isEchoed: config.echo_downstream,
      generate: generator(config.generator),
    }
  },

  access(exchange, state) {
    const { headers } = exchange.request
    let id = headers.get(state.header)
    if (id === null || id === '') {
      id = state.generate(exchange)
      headers.set(state.header, id)
    }
    exchange.shared.set(CORRELATION_ID, id)
    // Log plugins show it, as Kong's do.
    exchange.logFields = { ...exchange.logFields, correlation_id: id }
  },

  responseHeaders(exchange, state) {
    if (!state.isEchoed) return
    // Requests that match no route have had no access phase.
    const id = exchange.shared.get(CORRELATION_ID) ?? exchange.request.headers.get(state.header)
    exchange.response.headers.set(state.header, typeof id === 'string' && id !== '' ? id : state.generate(exchange))
  },
})

function generator(kind: 'uuid' | 'uuid#counter' | 'tracker'): State['generate'] {
  switch (kind) {
    case 'uuid':
      return () => randomUUID()
    case 'uuid#counter': {
      // One random number per configuration and worker: what comes after it only has to count.
      const prefix = `${randomUUID()}#`
      let count = 0
      return () => prefix + ++count
    }
    case 'tracker':
      return ({ request, startedAtMs }) =>
        `${request.serverIp}-${request.serverPort}-${process.pid}-${request.connectionSerial}-${request.connectionRequests}-${(startedAtMs / 1000).toFixed(3)}`
  }
}
