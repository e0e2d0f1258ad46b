/** Reads the PROXY protocol's header off connections of listeners with that flag, before anything else reads them. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { readProxyHeader, type ProxiedAddresses } from '#http/proxy-header.ts'

/** Who the header names, by the socket that it came on. */
const byHeader = new WeakMap<Socket, ProxiedAddresses>()

/**
 * Calls `done` with what came behind the header, the socket paused; or `refused`, once, where the header is none, or does not come
 * in time: the socket is then destroyed, as there is nobody to whom an answer could be addressed. The socket must be paused and unread.
 */
export function takeProxyHeader(
  socket: Socket,
  timeoutMs: number,
  done: (rest: Buffer) => void,
  refused: () => void,
): void {
  let seen: Buffer | null = null
  const timer = setTimeout(end, timeoutMs)
  function end(): void {
    leave()
    refused()
    socket.destroy()
  }
  function leave(): void {
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('end', end)
    socket.off('close', end)
  }
  function onData(bytes: Buffer): void {
    seen = seen === null ? bytes : Buffer.concat([seen, bytes])
    const header = readProxyHeader(seen)
    if (header.state === 'incomplete') return
    if (header.state === 'invalid') return end()
    leave()
    socket.pause()
    if (header.addresses !== null) byHeader.set(socket, header.addresses)
    done(seen.subarray(header.size))
  }
  socket.on('data', onData)
  socket.on('end', end)
  socket.on('close', end)
  socket.resume()
}

/** What the header said; null where it named nobody. */
export function proxiedAddressesOf(socket: Socket): ProxiedAddresses | null {
  return byHeader.get(socket) ?? null
}

/**
 * The same of a connection that TLS was put onto. Node has no documented way back to what a TLSSocket was made of; where this one is
 * missing nobody is named, and the address stays that of the load balancer.
 */
export function proxiedAddressesUnder(socket: TLSSocket): ProxiedAddresses | null {
  const { _parent: under } = socket as TLSSocket & { readonly _parent?: Socket }
  return under === undefined ? null : proxiedAddressesOf(under)
}
