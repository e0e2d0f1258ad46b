/** Two sockets joined after an Upgrade: bytes pass both ways with backpressure, each side's end ends the other's sending side. */
import type { Socket } from 'node:net'
import { writeMessage } from '#http/socket-writer.ts'

export interface TunnelResult {
  readonly bytesToClient: number
  readonly bytesToUpstream: number
}

/**
 * @param idleTimeoutMs without a byte in either direction the tunnel ends
 * @param onEnd called once, when both sockets are closed
 */
export function joinSockets(
  client: Socket,
  upstream: Socket,
  toUpstream: Buffer | null,
  toClient: Buffer | null,
  idleTimeoutMs: number,
  onEnd: (result: TunnelResult) => void,
): void {
  let open = 2
  let [bytesToClient, bytesToUpstream] = [0, 0]
  const expire = (): void => {
    client.destroy()
    upstream.destroy()
  }
  const idle = setTimeout(expire, idleTimeoutMs)
  const closed = (other: Socket) => () => {
    // A socket that is gone can neither send nor take: what the other still has to say has no reader.
    other.destroySoon()
    if (--open > 0) return
    clearTimeout(idle)
    onEnd({ bytesToClient, bytesToUpstream })
  }
  const toUpstreamNow = (bytes: Buffer): void => {
    idle.refresh()
    bytesToUpstream += bytes.length
    if (!writeMessage(upstream, bytes)) client.pause()
  }
  const toClientNow = (bytes: Buffer): void => {
    idle.refresh()
    bytesToClient += bytes.length
    if (!writeMessage(client, bytes)) upstream.pause()
  }
  for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
  client.on('close', closed(upstream))
  upstream.on('close', closed(client))
  client.on('drain', () => upstream.resume())
  upstream.on('drain', () => client.resume())
  client.on('end', () => upstream.end())
  upstream.on('end', () => client.end())
  if (toUpstream !== null) toUpstreamNow(toUpstream)
  if (toClient !== null) toClientNow(toClient)
  client.on('data', toUpstreamNow)
  upstream.on('data', toClientNow)
}
