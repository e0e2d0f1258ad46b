/** What log plugins send to in tests: real daemons, and servers of Node that keep what they get. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import type { TestCertificate } from './certificates.ts'
import { freePorts } from './free-port.ts'
import type { Program } from './parts.ts'
import { startChild, type Child } from './process.ts'
import { waitUntil } from './wait.ts'

export interface ReceivedRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly bytes: Buffer
  /** Number of the connection, from 1. */
  readonly connection: number
}

/** An HTTP server that answers with the next status of `statuses`, and with 200 when there is none. */
export async function startHttpReceiver(tls: TestCertificate | null = null) {
  const requests: ReceivedRequest[] = []
  const statuses: number[] = []
  let connections = 0
  const numbers = new WeakMap<object, number>()
  const answer: Parameters<typeof createHttpServer>[1] = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers, socket } = request
      const bytes = Buffer.concat(chunks)
      requests.push({ method, url, headers, body: bytes.toString(), bytes, connection: numbers.get(socket) ?? 0 })
      response.writeHead(statuses.shift() ?? 200).end('taken')
    })
  }
  const server = tls === null ? createHttpServer(answer as never) : createHttpsServer(tls, answer as never)
  server.on(tls === null ? 'connection' : 'secureConnection', (socket: object) => numbers.set(socket, ++connections))
  const port = await listening(server)
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { port, requests, statuses, stop, [Symbol.asyncDispose]: stop }
}

/** A TCP or TLS server that keeps what it gets, as text. */
export async function startTcpReceiver(tls: TestCertificate | null = null) {
  let text = ''
  const sockets = new Set<Socket>()
  const servernames: (string | false | null)[] = []
  const take = (socket: Socket): void => {
    sockets.add(socket)
    if (socket instanceof TLSSocket) servernames.push(socket.servername)
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  }
  const server = tls === null ? createTcpServer(take) : createTlsServer(tls, take)
  server.on('tlsClientError', () => undefined)
  const port = await listening(server)
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return {
    port,
    servernames,
    lines: () => text.split('\n').slice(0, -1),
    /** Ends the connections; new ones are taken. */
    drop: () => {
      for (const socket of sockets) socket.destroy()
    },
    connections: () => sockets.size,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

export async function startUdpReceiver() {
  const datagrams: string[] = []
  const socket = createSocket('udp4', (message) => datagrams.push(message.toString()))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const stop = async (): Promise<void> => {
    socket.close()
    await once(socket, 'close')
  }
  return { port: socket.address().port, datagrams, stop, [Symbol.asyncDispose]: stop }
}

/** A real rsyslogd: takes messages at a socket of this machine, over UDP and over TCP, and writes what it made of them. */
export async function startRsyslog(program: Program) {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-rsyslog-'))
  const [udp = 0, tcp = 0] = await freePorts(2)
  const socket = path.join(folder, 'log')
  const output = path.join(folder, 'out')
  const modules = path.join(program.env['LD_LIBRARY_PATH']?.split(':')[0] ?? '/usr/lib', 'rsyslog')
  writeFileSync(
    path.join(folder, 'rsyslog.conf'),
    `
global(workDirectory="${folder}")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="${socket}" UseSpecialParser="on")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="${udp}")
module(load="imtcp" MaxSessions="10")
input(type="imtcp" address="127.0.0.1" port="${tcp}")
template(name="parts" type="list") {
  constant(value="{")
  property(name="inputname" outname="input" format="jsonf") constant(value=",")
  property(name="syslogfacility-text" outname="facility" format="jsonf") constant(value=",")
  property(name="syslogseverity-text" outname="severity" format="jsonf") constant(value=",")
  property(name="programname" outname="program" format="jsonf") constant(value=",")
  property(name="procid" outname="procid" format="jsonf") constant(value=",")
  property(name="structured-data" outname="data" format="jsonf") constant(value=",")
  property(name="timereported" outname="time" dateFormat="rfc3339" format="jsonf") constant(value=",")
  property(name="msg" outname="message" format="jsonf")
  constant(value="}\\n")
}
action(type="omfile" file="${output}" template="parts")
`,
  )
  const child = await startChild({
    command: program.command,
    args: ['-n', '-f', path.join(folder, 'rsyslog.conf'), '-i', path.join(folder, 'pid'), '-M', modules],
    env: { ...process.env, ...program.env },
    name: 'rsyslogd',
  })
  const stop = async (): Promise<void> => {
    await child.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await child.waitUntil('listening', () => Promise.resolve(existsSync(socket)), 30_000)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    udp,
    tcp,
    socket,
    entries: (): Record<string, string>[] =>
      existsSync(output)
        ? readFileSync(output, 'utf8')
            .split('\n')
            .slice(0, -1)
            .map((line) => JSON.parse(line) as Record<string, string>)
        : [],
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Etsy's statsd; `ask` says something to its management port and answers what it says. */
export async function startStatsd(folder: string, protocol: 'udp' | 'tcp') {
  const work = mkdtempSync(path.join(tmpdir(), 'meridian-statsd-'))
  const [port = 0, management = 0] = await freePorts(2)
  const server = `./servers/${protocol}`
  const config = {
    address: '127.0.0.1',
    port,
    mgmt_address: '127.0.0.1',
    mgmt_port: management,
    server,
    backends: [],
    flushInterval: 3_600_000,
  }
  writeFileSync(path.join(work, 'config.js'), JSON.stringify(config))
  // It was written for a Node that still had this.
  writeFileSync(path.join(work, 'older-node.cjs'), `require('node:util').log = console.log`)
  const child: Child = await startChild({
    command: process.execPath,
    args: ['--require', path.join(work, 'older-node.cjs'), path.join(folder, 'stats.js'), path.join(work, 'config.js')],
    name: 'statsd',
  })
  const stop = async (): Promise<void> => {
    await child.stop()
    rmSync(work, { recursive: true, force: true })
  }
  const ask = async (question: string): Promise<string> => {
    const socket = connect(management, '127.0.0.1')
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('END')) socket.end()
    })
    socket.on('error', () => undefined)
    socket.write(`${question}\n`)
    await once(socket, 'close')
    return text
  }
  try {
    await waitUntil('statsd answers', () =>
      ask('counters').then(
        (text) => text.includes('END'),
        () => false,
      ),
    )
  } catch (error) {
    await stop()
    throw error
  }
  return { port, ask, stop, [Symbol.asyncDispose]: stop }
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
