/**
 * The server name and the protocols in a TLS ClientHello, read without ending TLS (RFC 8446 4.1.2, RFC 6066 3, RFC 7301 3.1): what
 * routes of `tls_passthrough` are matched by, and what tells an ACME server from a client.
 */

export type ReadHello =
  /** More bytes are needed. */
  | { readonly state: 'incomplete' }
  /** This is no TLS, or its hello can't be read. */
  | { readonly state: 'invalid' }
  | { readonly state: 'read'; readonly serverName: string | null; readonly protocols: readonly string[] }

/** A hello may come in several records of 16 KiB; with today's large key shares it has some 2 KiB. */
export const HELLO_BYTES_MAX = 65_536

const RECORD_HANDSHAKE = 22
const CLIENT_HELLO = 1
const EXTENSION_SERVER_NAME = 0
const EXTENSION_ALPN = 16
const NO_PROTOCOLS: readonly string[] = []
const NAME_HOST = 0

/** `bytes`: everything that the client sent so far. */
export function readClientHello(bytes: Buffer): ReadHello {
  const handshake = handshakeBytes(bytes)
  if (handshake === null) return { state: 'invalid' }
  if (handshake.length < 4) return { state: 'incomplete' }
  if (handshake[0] !== CLIENT_HELLO) return { state: 'invalid' }
  const end = 4 + handshake.readUIntBE(1, 3)
  if (end > HELLO_BYTES_MAX) return { state: 'invalid' }
  if (handshake.length < end) return { state: 'incomplete' }
  return read(new Cursor(handshake, 4, end))
}

/** The payload of the handshake records so far, put together; null when something else comes. */
function handshakeBytes(bytes: Buffer): Buffer | null {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== RECORD_HANDSHAKE || (at + 1 < bytes.length && bytes[at + 1] !== 3)) return null
    if (at + 5 > bytes.length) break
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > 16_384) return null
    parts.push(bytes.subarray(at + 5, at + 5 + length))
    at += 5 + length
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

function read(hello: Cursor): ReadHello {
  hello.skip(2 + 32) // version, random
  hello.skip(hello.uint8()) // session id
  hello.skip(hello.uint16()) // cipher suites
  hello.skip(hello.uint8()) // compression
  if (hello.isBroken) return { state: 'invalid' }
  if (hello.isAtEnd) return { state: 'read', serverName: null, protocols: NO_PROTOCOLS }
  const extensions = hello.part(hello.uint16())
  let serverName: string | null = null
  let protocols = NO_PROTOCOLS
  while (!extensions.isAtEnd && !extensions.isBroken) {
    const type = extensions.uint16()
    const extension = extensions.part(extensions.uint16())
    if (type === EXTENSION_SERVER_NAME && serverName === null) {
      serverName = serverNameOf(extension)
      if (extension.isBroken) return { state: 'invalid' }
    } else if (type === EXTENSION_ALPN) {
      protocols = protocolsOf(extension)
      if (extension.isBroken) return { state: 'invalid' }
    }
  }
  return extensions.isBroken || hello.isBroken ? { state: 'invalid' } : { state: 'read', serverName, protocols }
}

/** The first host name. Breaks the extension where what it says goes past its end. */
function serverNameOf(extension: Cursor): string | null {
  const names = extension.part(extension.uint16())
  while (!names.isAtEnd && !names.isBroken) {
    const kind = names.uint8()
    const name = names.text(names.uint16())
    if (!names.isBroken && kind === NAME_HOST) return name.toLowerCase().replace(/\.$/, '')
  }
  if (names.isBroken) extension.isBroken = true
  return null
}

/** As `serverNameOf`. */
function protocolsOf(extension: Cursor): readonly string[] {
  const list = extension.part(extension.uint16())
  const protocols: string[] = []
  while (!list.isAtEnd && !list.isBroken) protocols.push(list.text(list.uint8()))
  if (list.isBroken) extension.isBroken = true
  return protocols
}

/** Reads numbers and parts one after the other; reading past the end breaks it, and then everything is 0 and empty. */
class Cursor {
  isBroken = false
  readonly #bytes: Buffer
  #at: number
  readonly #end: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes
    this.#at = at
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end
  }

  uint8(): number {
    return this.#take(1) ? this.#bytes[this.#at - 1]! : 0
  }

  uint16(): number {
    return this.#take(2) ? this.#bytes.readUInt16BE(this.#at - 2) : 0
  }

  skip(length: number): void {
    this.#take(length)
  }

  text(length: number): string {
    return this.#take(length) ? this.#bytes.latin1Slice(this.#at - length, this.#at) : ''
  }

  part(length: number): Cursor {
    if (!this.#take(length)) {
      const broken = new Cursor(this.#bytes, 0, 0)
      broken.isBroken = true
      return broken
    }
    return new Cursor(this.#bytes, this.#at - length, this.#at)
  }

  #take(length: number): boolean {
    if (this.isBroken || this.#at + length > this.#end) {
      this.isBroken = true
      return false
    }
    this.#at += length
    return true
  }
}
