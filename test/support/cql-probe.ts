/** What a Cassandra node says of itself, asked by a few frames of the native protocol (version 4): needs no driver. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface ProbeOptions {
  readonly host: string
  readonly port: number
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly credentials?: { readonly username: string; readonly password: string }
}

const TIMEOUT_MS = 2_000
const HEADER_BYTES = 9
const [ERROR, STARTUP, AUTHENTICATE, QUERY, RESULT, AUTH_RESPONSE] = [0, 1, 3, 7, 8, 15]

interface Frame {
  readonly opcode: number
  readonly body: Buffer
}

/**
 * Addresses of the other nodes that have their place in its ring: before, it takes their data centers for unknown. Null
 * while it does not answer.
 */
export async function knownPeers(options: ProbeOptions): Promise<string[] | null> {
  const query = queryFrame('SELECT peer, tokens FROM system.peers_v2')
  const answer = await converse(options, startupFrame(), ({ opcode }) => {
    if (opcode === RESULT) return null
    return opcode === AUTHENTICATE && options.credentials !== undefined ? loginFrame(options.credentials) : query
  })
  return answer?.opcode === RESULT ? peersWithTokens(answer.body) : null
}

/** Sends `first`, and what `next` makes of each answer; resolves with the answer to which it makes nothing. */
function converse(
  { host, port, tls }: ProbeOptions,
  first: Buffer,
  next: (answer: Frame) => Buffer | null,
): Promise<Frame | null> {
  return new Promise((resolve) => {
    const socket: Socket = tls === undefined ? connect({ host, port }) : connectTls({ host, port, ...tls })
    const finish = (answer: Frame | null) => {
      socket.destroy()
      resolve(answer)
    }
    let received = Buffer.alloc(0)
    socket.setTimeout(TIMEOUT_MS, () => finish(null))
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => socket.write(first))
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      while (received.length >= HEADER_BYTES) {
        const end = HEADER_BYTES + received.readUInt32BE(5)
        if (received.length < end) return
        const answer = { opcode: received.readUInt8(4), body: received.subarray(HEADER_BYTES, end) }
        received = received.subarray(end)
        const reply = answer.opcode === ERROR ? null : next(answer)
        if (reply === null) return finish(answer)
        socket.write(reply)
      }
    })
    for (const event of ['error', 'end'] as const) socket.once(event, () => finish(null))
  })
}

function frame(opcode: number, body: Buffer): Buffer {
  const header = Buffer.from([4, 0, 0, 0, opcode, 0, 0, 0, 0])
  header.writeUInt32BE(body.length, 5)
  return Buffer.concat([header, body])
}

function startupFrame(): Buffer {
  const texts = ['CQL_VERSION', '3.0.0'].map((text) => Buffer.concat([uint16(text.length), Buffer.from(text)]))
  return frame(STARTUP, Buffer.concat([uint16(1), ...texts]))
}

function loginFrame({ username, password }: { readonly username: string; readonly password: string }): Buffer {
  const token = Buffer.from(`\0${username}\0${password}`)
  return frame(AUTH_RESPONSE, Buffer.concat([int32(token.length), token]))
}

function queryFrame(query: string): Buffer {
  const CONSISTENCY_ONE = 1
  const SKIP_METADATA = 2
  const text = Buffer.from(query)
  return frame(QUERY, Buffer.concat([int32(text.length), text, uint16(CONSISTENCY_ONE), Buffer.from([SKIP_METADATA])]))
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A result of rows of two columns, without its metadata: kind, flags, columns, rows, then each cell with its length. */
function peersWithTokens(body: Buffer): string[] {
  let at = 12
  const nextInt = () => {
    at += 4
    return body.readInt32BE(at - 4)
  }
  const nextCell = (): Buffer | null => {
    const length = nextInt()
    if (length < 0) return null
    at += length
    return body.subarray(at - length, at)
  }
  const peers: string[] = []
  for (let rows = nextInt(); rows > 0; rows--) {
    const address = nextCell()
    const tokens = nextCell()
    if (address !== null && tokens !== null) peers.push(address.join('.'))
  }
  return peers
}
