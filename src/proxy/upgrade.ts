import type { Socket } from 'node:net'
import type { ClientSide } from '#http/client-side.ts'
import { CONNECTION_UPGRADE } from '#http/fields.ts'
import { upstreamFailure } from '#http/failure.ts'
import { headerId } from '#http/known-headers.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { Exchange } from '#pdk/exchange.ts'
import { debugFields } from './debug-header.ts'
import type { ProxySettings } from './settings.ts'
import { joinSockets } from './tunnel.ts'

export const UNASKED_UPGRADE = upstreamFailure('BAD_FRAMING', 502, false, 'the upstream switched protocols unasked')

const NOTHING_SKIPPED = new Uint8Array(256)

/** Whether the client asks for WebSocket, the only protocol that is switched to (RFC 6455 4.2.1). */
export function asksForWebSocket(head: RequestHead): boolean {
  return (
    head.hasUpgrade &&
    (head.connection & CONNECTION_UPGRADE) !== 0 &&
    head.headers.getKnown(headerId['upgrade'])!.toLowerCase() === 'websocket'
  )
}

/** Tells the client that the upstream switched, and joins both; `rest` came after the upstream's head. `onEnd` is called when both are closed. */
export function switchOver(
  client: ClientSide,
  exchange: Exchange,
  upstream: Socket,
  rest: Buffer | null,
  settings: ProxySettings,
  onEnd: () => void,
): void {
  client.writeInterim(switchingHead(exchange, settings))
  const early = client.detach()
  joinSockets(client.socket, upstream, early, rest, exchange.upstream.readTimeoutMs, ({ bytesToClient }) => {
    exchange.response.bytesSent += bytesToClient
    onEnd()
  })
}

/** The head that tells the client that the upstream switched, with what plugins left in the response's headers. */
function switchingHead(exchange: Exchange, settings: ProxySettings): string {
  const { headers } = exchange.response
  headers.remove('Connection')
  headers.remove('Upgrade')
  let text =
    'HTTP/1.1 101 Switching Protocols\r\n' +
    headers.serialise(NOTHING_SKIPPED) +
    'Connection: upgrade\r\nUpgrade: websocket\r\n'
  if (settings.headers.requestId) text += 'X-Kong-Request-Id: ' + exchange.id + '\r\n'
  if (settings.headers.via) text += 'Via: 1.1 ' + settings.product + '\r\n'
  if (settings.allowDebugHeader) text += debugFields(exchange)
  return text + '\r\n'
}
