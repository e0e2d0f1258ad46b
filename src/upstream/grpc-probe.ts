/** The health protocol of gRPC (grpc/health/v1): one unary call over HTTP/2, its two messages written out by hand. */
import { connect, constants } from 'node:http2'
import type { Socket } from 'node:net'
import type { ProbeOptions, ProbeOutcome, ProbeTarget } from './probe.ts'

const SERVING = 1
/** The answer is a message of two bytes; a server that sends more than this does not speak the protocol. */
const MAX_ANSWER_BYTES = 4096

/** SERVING is a success; another state, an error of the call or anything that is no gRPC a failure. `/` asks for the server as a whole, any other path for the service of that name. */
export function askGrpcHealth(
  { hostname, port }: ProbeTarget,
  { path, type, hostHeader, headers, timeoutMs }: ProbeOptions,
  open: () => Socket,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const scheme = type === 'grpcs' ? 'https' : 'http'
    const session = connect(`${scheme}://${hostname}:${port}`, { createConnection: open })
    let isConnected = false
    const settle = (outcome: ProbeOutcome) => {
      resolve(outcome)
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      session.destroy()
    }
    const timer = setTimeout(() => settle({ type: 'timeout' }), timeoutMs)
    const abort = () => settle({ type: 'timeout' })
    signal.addEventListener('abort', abort, { once: true })
    const fail = () => settle({ type: isConnected ? 'failure' : 'tcp_failure' })
    session.on('error', fail)
    session.on('close', fail)
    session.on('connect', () => (isConnected = true))
    const call = session.request({
      ...Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), [...values]])),
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      [constants.HTTP2_HEADER_AUTHORITY]: hostHeader ?? `${hostname}:${port}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${Math.min(99_999_999, Math.ceil(timeoutMs))}m`,
    })
    let answer = Buffer.alloc(0)
    let isOk = false
    call.on('response', (fields) => {
      // A call that fails at once has its status here and no trailers.
      if (fields[':status'] !== 200 || (fields['grpc-status'] ?? '0') !== '0') fail()
    })
    call.on('data', (bytes: Buffer) => {
      answer = Buffer.concat([answer, bytes])
      if (answer.length > MAX_ANSWER_BYTES) fail()
    })
    call.on('trailers', (fields) => (isOk = fields['grpc-status'] === '0'))
    call.on('error', fail)
    call.on('end', () => {
      if (isOk && servingStatus(answer) === SERVING) settle({ type: 'success' })
      else fail()
    })
    call.end(request(path === '/' ? '' : path.slice(1)))
  })
}

/** HealthCheckRequest { service = 1 } behind the five bytes of a gRPC message: not compressed, its length. */
function request(service: string): Buffer {
  const name = Buffer.from(service)
  const message = name.length === 0 ? name : Buffer.concat([Buffer.of(0x0a), varint(name.length), name])
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

/** HealthCheckResponse { status = 1 }; 0 (UNKNOWN) when it is left out, -1 for anything else. */
function servingStatus(answer: Buffer): number {
  if (answer.length < 5 || answer[0] !== 0 || answer.readUInt32BE(1) !== answer.length - 5) return -1
  const message = answer.subarray(5)
  if (message.length === 0) return 0
  return message[0] === 0x08 && message.length >= 2 ? message[1]! : -1
}
