/** One question to a target whether it is well: over HTTP/1.0, TLS, plain TCP, or the health protocol of gRPC. */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import { askGrpcHealth } from './grpc-probe.ts'

/** In the words of the balancer: a status counts by the upstream's lists; success and failure stand for themselves. */
export type ProbeOutcome =
  | { readonly type: 'status'; readonly status: number }
  | { readonly type: 'success' | 'failure' | 'tcp_failure' | 'timeout' }

export interface ProbeTarget {
  readonly ip: string
  readonly port: number
  /** Its name, or its address with brackets. */
  readonly hostname: string
}

export interface ProbeOptions {
  readonly type: 'http' | 'https' | 'tcp' | 'grpc' | 'grpcs'
  readonly path: string
  /** Null takes the target's name. */
  readonly hostHeader: string | null
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly timeoutMs: number
  readonly tls: ProbeTls
}

export interface ProbeTls {
  readonly context: SecureContext
  /** Server name for SNI and verification; null takes the target's name. */
  readonly servername: string | null
  readonly isVerified: boolean
}

export type Probe = (target: ProbeTarget, signal: AbortSignal) => Promise<ProbeOutcome>

/** A status line that has not come within so many bytes is none. */
const MAX_HEAD_BYTES = 8192
const STATUS_LINE = /^HTTP\/\d\.\d (\d{3})/

/** Made once per configuration. The probe answers within the time-out, whatever the target does. */
export function compileProbe(options: ProbeOptions): Probe {
  switch (options.type) {
    case 'grpc':
    case 'grpcs':
      return (target, signal) => askGrpcHealth(target, options, () => open(target, options, ['h2']), signal)
    case 'tcp':
      return (target, signal) => probe(target, options, null, signal)
    case 'http':
    case 'https': {
      const { path, hostHeader } = options
      const fields = headerLines(options.headers)
      const hasHost = Object.keys(options.headers).some((name) => name.toLowerCase() === 'host')
      const requestOf = (host: string) => `GET ${path} HTTP/1.0\r\n${hasHost ? '' : `Host: ${host}\r\n`}${fields}\r\n`
      return (target, signal) => probe(target, options, requestOf(hostHeader ?? target.hostname), signal)
    }
  }
}

/** Connects, and where there is a request reads the status of the answer. */
function probe(
  target: ProbeTarget,
  options: ProbeOptions,
  request: string | null,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const { timeoutMs } = options
  return new Promise((resolve) => {
    const socket = open(target, options, ['http/1.1'])
    let text = ''
    // What was answered first counts; the rest of the answer is let in until the time is over.
    const timer = setTimeout(() => {
      resolve({ type: 'timeout' })
      socket.destroy()
    }, timeoutMs)
    const abort = () => socket.destroy()
    signal.addEventListener('abort', abort, { once: true })
    socket.on(options.type === 'https' ? 'secureConnect' : 'connect', () => {
      if (request !== null) return void socket.write(request, 'latin1')
      resolve({ type: 'success' })
      socket.destroy()
    })
    socket.on('data', (bytes: Buffer) => {
      if (text.length > MAX_HEAD_BYTES) return
      text += bytes.toString('latin1')
      const status = STATUS_LINE.exec(text)
      if (status !== null) resolve({ type: 'status', status: Number(status[1]) })
      // Anything but HTTP: nothing that follows makes it a status line.
      else if (text.length > MAX_HEAD_BYTES || !'HTTP/'.startsWith(text.slice(0, 5))) socket.destroy()
    })
    // Half-closing tells a server that nothing follows; the answer's end closes the rest.
    socket.on('end', () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      resolve({ type: 'tcp_failure' })
    })
  })
}

function open({ ip, port, hostname }: ProbeTarget, { type, tls }: ProbeOptions, protocols: string[]): Socket {
  if (type !== 'https' && type !== 'grpcs') return connectTcp({ host: ip, port, noDelay: true })
  const name = tls.servername ?? unbracketed(hostname)
  const isLiteral = !/[^0-9.]/.test(name) || name.includes(':')
  return connectTls({
    host: ip,
    port,
    secureContext: tls.context,
    rejectUnauthorized: tls.isVerified,
    ALPNProtocols: protocols,
    // RFC 6066 3: a literal address is no server name; it is verified all the same, being the host.
    ...(!isLiteral && { servername: name }),
  })
}

function headerLines(headers: ProbeOptions['headers']): string {
  return Object.entries(headers)
    .flatMap(([name, values]) => values.map((value) => `${name}: ${value.replace(/[\r\n\0]/g, ' ')}\r\n`))
    .join('')
}

function unbracketed(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host
}
