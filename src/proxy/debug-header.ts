/** `Kong-Debug: 1` with `allow_debug_header`: the answer names the route and the service that took the request (Kong 3.9). */
import type { Exchange } from '#pdk/exchange.ts'
import { headerValue } from '#pdk/wire-text.ts'

/** The lines of the head, none for a client that did not ask. */
export function debugFields({ request, route, service }: Exchange): string {
  if (route === null || request.headers.get('kong-debug') !== '1') return ''
  let text = 'Kong-Route-Id: ' + route.id + '\r\n'
  if (route.name !== null) text += 'Kong-Route-Name: ' + headerValue(route.name) + '\r\n'
  if (service === null) return text
  text += 'Kong-Service-Id: ' + service.id + '\r\n'
  return service.name === null ? text : text + 'Kong-Service-Name: ' + headerValue(service.name) + '\r\n'
}
