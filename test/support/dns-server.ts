/** A name server inside the test process whose every answer the test decides, also wrong, late and missing ones. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from 'dns-packet'

export interface DnsQuestion {
  readonly name: string
  readonly type: string
  readonly transport: 'udp' | 'tcp'
  readonly id: number
  readonly port: number
  readonly hasEdns: boolean
}

export interface DnsReply {
  readonly answers?: readonly Answer[]
  readonly additionals?: readonly Answer[]
  readonly authorities?: readonly Answer[]
  readonly rcode?: number
  readonly isTruncated?: boolean
  readonly delayMs?: number
  /** Changes the message before it is encoded. */
  readonly change?: (packet: Packet) => Packet
  /** Instead of a message. */
  readonly bytes?: Buffer
  /** Sent from a socket that the client did not ask. */
  readonly fromElsewhere?: boolean
}

/** One or several replies to a question, in order; null says nothing. */
export type DnsHandler = (question: DnsQuestion) => DnsReply | readonly DnsReply[] | null

export interface DnsServer {
  readonly port: number
  /** `ip:port`, as a setting has it. */
  readonly address: string
  readonly questions: readonly DnsQuestion[]
  handler: DnsHandler
  [Symbol.asyncDispose](): Promise<void>
}

export async function startDnsServer(handler: DnsHandler): Promise<DnsServer> {
  const questions: DnsQuestion[] = []
  const connections = new Set<Socket>()
  const { udp, tcp, port } = await listen()
  const elsewhere = createSocket('udp4')
  const timers = new Set<NodeJS.Timeout>()

  const answer = (bytes: Buffer, transport: 'udp' | 'tcp', from: number, send: Send): void => {
    const query = dnsPacket.decode(bytes)
    const [asked] = query.questions!
    const hasEdns = query.additionals!.some((record) => record.type === 'OPT')
    const question = { name: asked!.name, type: asked!.type, transport, id: query.id!, port: from, hasEdns }
    questions.push(question)
    const replies = server.handler(question)
    for (const reply of replies === null ? [] : Array.isArray(replies) ? replies : [replies as DnsReply]) {
      const timer = setTimeout(() => {
        timers.delete(timer)
        send(encodeReply(query, reply), reply.fromElsewhere === true)
      }, reply.delayMs ?? 0)
      timers.add(timer)
    }
  }

  udp.on('message', (bytes, from) => {
    answer(bytes, 'udp', from.port, (reply, isElsewhere) =>
      (isElsewhere ? elsewhere : udp).send(reply, from.port, from.address),
    )
  })
  tcp.on('connection', (socket) => {
    connections.add(socket)
    // A client that gives up resets; the test looks at what it got.
    socket.on('error', () => socket.destroy()).on('close', () => connections.delete(socket))
    socket.on('data', (chunk: Buffer) =>
      answer(chunk.subarray(2), 'tcp', socket.remotePort!, (reply) => {
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        // In two pieces, as TCP may deliver them.
        socket.write(length)
        socket.write(reply)
      }),
    )
  })

  const server: DnsServer = {
    port,
    address: `127.0.0.1:${port}`,
    questions,
    handler,
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer)
      for (const socket of connections) socket.destroy()
      udp.close()
      elsewhere.close()
      await new Promise((resolve) => tcp.close(resolve))
    },
  }
  return server
}

export function a(name: string, ip: string, ttl = 60): Answer {
  return { type: 'A', name, ttl, data: ip }
}

export function aaaa(name: string, ip: string, ttl = 60): Answer {
  return { type: 'AAAA', name, ttl, data: ip }
}

export function cname(name: string, target: string, ttl = 60): Answer {
  return { type: 'CNAME', name, ttl, data: target }
}

export function srv(
  name: string,
  data: { target: string; port: number; weight?: number; priority?: number },
  ttl = 60,
): Answer {
  return { type: 'SRV', name, ttl, data }
}

export function soa(name: string): Answer {
  return { type: 'SOA', name, ttl: 60, data: { mname: `ns.${name}`, rname: `root.${name}` } }
}

type Send = (reply: Buffer, isElsewhere: boolean) => void

function encodeReply(query: DecodedPacket, reply: DnsReply): Buffer {
  if (reply.bytes !== undefined) return reply.bytes
  const { rcode = 0, isTruncated = false, change = (packet: Packet) => packet } = reply
  return dnsPacket.encode(
    change({
      type: 'response',
      id: query.id,
      flags: dnsPacket.RECURSION_AVAILABLE | (isTruncated ? dnsPacket.TRUNCATED_RESPONSE : 0) | rcode,
      questions: query.questions,
      answers: [...(reply.answers ?? [])],
      authorities: [...(reply.authorities ?? [])],
      additionals: [...(reply.additionals ?? [])],
    }),
  )
}

/** UDP and TCP on one port of loopback. */
async function listen(): Promise<{ udp: UdpSocket; tcp: Server; port: number }> {
  for (;;) {
    const tcp = createServer()
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
    const { port } = tcp.address() as AddressInfo
    const udp = createSocket('udp4')
    const isBound = await new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false))
      udp.bind(port, '127.0.0.1', () => resolve(true))
    })
    if (isBound) return { udp, tcp, port }
    udp.close()
    await new Promise((resolve) => tcp.close(resolve))
  }
}
