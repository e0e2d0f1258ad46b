/** Two sockets joined after an Upgrade: bytes pass both ways with backpressure, each side's end ends the other's sending side. */
import type { Socket } from 'node:net'

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
  const sentBefore = { client: client.bytesWritten, upstream: upstream.bytesWritten }
  const closed = (other: Socket) => () => {
    // A socket that is gone can neither send nor take: what the other still has to say has no reader.
    other.destroySoon()
    if (--open === 0)
      onEnd({
        bytesToClient: client.bytesWritten - sentBefore.client,
        bytesToUpstream: upstream.bytesWritten - sentBefore.upstream,
      })
  }
  const expire = () => {
    client.destroy()
    upstream.destroy()
  }
  for (const [socket, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    socket.on('error', () => socket.destroy())
    socket.on('close', closed(other))
    socket.setTimeout(idleTimeoutMs, expire)
  }
  if (toUpstream !== null) upstream.write(toUpstream)
  if (toClient !== null) client.write(toClient)
  client.pipe(upstream)
  upstream.pipe(client)
}
