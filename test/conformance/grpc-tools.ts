/** grpcurl and ghz, clients of gRPC in Go. */
import type { Program } from '../support/parts.ts'
import { runChild } from '../support/process.ts'

const SERVICE = 'meridian.test.Echo'
const TIMEOUT_MS = 120_000

export interface GrpcurlAnswer {
  readonly code: number | null
  readonly output: string
}

/** `list`, or a method of the service as `/Unary`, which is found by reflection, with a message. */
export async function grpcurl(
  { command }: Program,
  port: number,
  isTls: boolean,
  what: string,
  message?: object,
): Promise<GrpcurlAnswer> {
  const { code, output } = await runChild({
    command,
    args: [
      isTls ? '-insecure' : '-plaintext',
      ...(message === undefined ? [] : ['-d', JSON.stringify(message)]),
      `127.0.0.1:${port}`,
      what.replace(/^\//, `${SERVICE}/`),
    ],
    name: 'grpcurl',
    timeoutMs: TIMEOUT_MS,
  })
  return { code, output }
}

export interface GhzReport {
  readonly count: number
  readonly statusCodeDistribution: Readonly<Record<string, number>>
}

/** `calls` calls of a method, 20 at a time over 4 connections. */
export async function ghz(
  program: Program,
  port: number,
  isTls: boolean,
  method: string,
  message: object | readonly object[],
  calls: number,
): Promise<GhzReport> {
  const { output } = await runChild({
    command: program.command,
    args: [
      isTls ? '--skipTLS' : '--insecure',
      '--call',
      `${SERVICE}.${method}`,
      '-d',
      JSON.stringify(message),
      '-n',
      String(calls),
      '-c',
      '20',
      '--connections',
      '4',
      '-O',
      'json',
      `127.0.0.1:${port}`,
    ],
    name: 'ghz',
    timeoutMs: TIMEOUT_MS,
  })
  const begin = output.indexOf('{')
  if (begin < 0) throw new Error(`ghz wrote no report: ${output.slice(-2000)}`)
  return JSON.parse(output.slice(begin)) as GhzReport
}
