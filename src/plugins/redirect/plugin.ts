/** Sends clients elsewhere, as Kong's redirect does. */
import { definePlugin } from '#pdk'
import { schema } from './schema.ts'

interface State {
  readonly status: number
  readonly location: string
  /** Around the path of the request; null when `location` is given as it stands. */
  readonly around: { readonly origin: string; readonly fragment: string } | null
}

export const redirect = definePlugin({
  schema,

  prepare({ status_code: status, location, keep_incoming_path: keepsPath }): State {
    return { status, location, around: keepsPath === true ? partsOf(location) : null }
  },

  access(exchange, { status, location, around }) {
    let target = location
    if (around !== null) {
      const { path, query } = exchange.request
      target = around.origin + path + (query === null || query === '' ? '' : '?' + query) + around.fragment
    }
    return exchange.exit(status, 'redirecting', { contentType: TEXT, headers: { Location: target } })
  },
})

const TEXT = 'text/plain; charset=utf-8'

/** The parts of a URL that the request does not replace. As text: what the operator wrote is not to be brought into another form. */
function partsOf(location: string): { readonly origin: string; readonly fragment: string } {
  const [, origin = '', fragment = ''] = /^([^:/?#]+:\/\/[^/?#]*)[^#]*(#.*)?$/.exec(location) ?? []
  return { origin, fragment }
}
