/** CPU time of the proxies for a request over HTTP/2: a plain GET, and a call of gRPC; nginx's and Envoy's on the same work beside it. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Program } from '../../test/support/debian-part.ts'
import { Envoy, type EnvoyOptions } from '../../test/support/envoy.ts'
import { freeGatewayPorts, startGateway } from '../../test/support/gateway.ts'
import { startNginx } from '../../test/support/nginx.ts'
import { runChild } from '../../test/support/process.ts'
import { treeCpuSeconds } from '../support/cpu-time.ts'
import { MEASURED_CORE, OTHER_CORE } from '../support/machine.ts'
import { SMALL_BODY, startBackend } from '../support/subjects.ts'

const CONNECTIONS = 16
const STREAMS = 8
const MANY = 100_000_000

export interface Ratio {
  readonly ratio: number
  readonly us: number
  readonly nginxUs: number
}

export interface Http2Ratio extends Ratio {
  /** Null where there is no Envoy. */
  readonly envoyUs: number | null
  readonly ratioToEnvoy: number | null
}

/** A message of 40 bytes as gRPC frames it: one byte, its length, itself. */
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 42, 10, 40]), Buffer.alloc(40, 0x61)])

export async function measureHttp2(programs: Programs, requests: number, rounds: number): Promise<Http2Ratio> {
  const backend = await startBackend(programs.nginx)
  try {
    const location = 'proxy_pass http://backend;'
    return await compare(programs, backend.port, 'http', location, requests, rounds, { bodyBytes: SMALL_BODY.length })
  } finally {
    await backend.stop()
  }
}

/** The server answers each call with the message it got, and its status in trailers. */
export async function measureGrpc(
  programs: Programs,
  requests: number,
  rounds: number,
  folder: string,
): Promise<Http2Ratio> {
  const server = createServer()
  server.on('stream', (stream: ServerHttp2Stream) => {
    const parts: Buffer[] = []
    stream.on('error', () => stream.destroy())
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.end(Buffer.concat(parts))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const message = path.join(folder, 'message')
  writeFileSync(message, MESSAGE)
  try {
    const { port } = server.address() as AddressInfo
    const args = [`--data=${message}`, '--header=content-type: application/grpc', '--header=te: trailers']
    const load = { bodyBytes: MESSAGE.length, args }
    return await compare(programs, port, 'grpc', 'grpc_pass grpc://backend;', requests, rounds, load)
  } finally {
    server.close()
  }
}

export interface Programs {
  readonly nginx: Program
  readonly h2load: Program
  /** Null where it can't be had. */
  readonly envoy: Program | null
}

interface Load {
  readonly bodyBytes: number
  readonly args?: readonly string[]
}

interface Running {
  readonly pid: number
  readonly port: number
  readonly stop: () => Promise<unknown>
}

async function compare(
  programs: Programs,
  backendPort: number,
  protocol: 'http' | 'grpc',
  location: string,
  requests: number,
  rounds: number,
  load: Load,
): Promise<Http2Ratio> {
  const running: Running[] = []
  try {
    const nginx = await startHttp2Nginx(programs.nginx, backendPort, location)
    running.push(nginx)
    const gateway = await startHttp2Gateway(`${protocol}://127.0.0.1:${backendPort}`, protocol)
    running.push(gateway)
    if (programs.envoy !== null)
      running.push(await startEnvoy(programs.envoy, backendPort, protocol === 'grpc' ? 'http2' : 'http1'))
    for (const one of running) await round(programs, one, one === gateway ? 2 * requests : requests >> 2, load)
    const least = running.map(() => Infinity)
    for (let at = 0; at < rounds; at++)
      for (const [n, one] of running.entries())
        least[n] = Math.min(least[n]!, await round(programs, one, requests, load))
    const [nginxUs = NaN, us = NaN, envoyUs = null] = least
    return { ratio: us / nginxUs, us, nginxUs, envoyUs, ratioToEnvoy: envoyUs === null ? null : us / envoyUs }
  } finally {
    for (const one of running) await one.stop()
  }
}

async function startEnvoy(
  program: Program,
  backendPort: number,
  backendSpeaks: EnvoyOptions['backendSpeaks'],
): Promise<Running> {
  const envoy = await Envoy.start(program, { backendPort, backendSpeaks, maxStreams: 128, wrapper: MEASURED_CORE })
  return { pid: envoy.child.pid, port: envoy.port, stop: () => envoy.stop() }
}

async function startHttp2Nginx(nginx: Program, backendPort: number, location: string): Promise<Running> {
  const started = await startNginx(nginx, {
    ports: 1,
    wrapper: MEASURED_CORE,
    http: ([port]) => `
  upstream backend { server 127.0.0.1:${backendPort}; keepalive 128; keepalive_requests ${MANY}; }
  keepalive_requests ${MANY};
  http2_max_concurrent_streams 128;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  server { listen 127.0.0.1:${port} http2; location / { ${location} } }`,
  })
  return { pid: started.child.pid, port: started.ports[0]!, stop: () => started.stop() }
}

async function startHttp2Gateway(url: string, protocol: 'http' | 'grpc'): Promise<Running> {
  const ports = await freeGatewayPorts()
  const gateway = await startGateway({
    ports,
    wrapper: MEASURED_CORE,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2`, keepalive_requests: String(MANY), overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [{ url, routes: [{ paths: ['/'], protocols: protocol === 'grpc' ? ['grpc'] : ['http'] }] }],
    },
  })
  return { pid: gateway.child.pid, port: gateway.proxyPort, stop: () => gateway.stop() }
}

/** Microseconds of CPU for a request. Throws when an answer is not as it must be. */
async function round(programs: Programs, { pid, port }: Running, requests: number, load: Load): Promise<number> {
  const [command = '', ...prefix] = OTHER_CORE
  const before = treeCpuSeconds(pid)
  const args = ['-t1', `-c${CONNECTIONS}`, `-m${STREAMS}`, `-n${requests}`, ...(load.args ?? [])]
  const { code, output } = await runChild({
    command,
    args: [...prefix, programs.h2load.command, ...args, `http://127.0.0.1:${port}/echo`],
    env: { ...process.env, ...programs.h2load.env },
    timeoutMs: 120_000,
  })
  const us = ((treeCpuSeconds(pid) - before) / requests) * 1e6
  const succeeded = Number(/(\d+) succeeded/.exec(output)?.[1])
  const bytes = Number(/\((\d+)\) data/.exec(output)?.[1])
  if (code !== 0 || succeeded !== requests || bytes !== requests * load.bodyBytes)
    throw new Error(`h2load got wrong answers\n${output}`)
  return us
}
