/** What the driver throws, told as `CassandraFailure`: why, and whether the statement may still have, or get, an effect. */
import { CassandraFailure, type FailureReason } from './port.ts'

/** `conditional`: a lightweight transaction. Reads have no effect, so their failures are always settled. */
export type StatementKind = 'read' | 'write' | 'conditional' | 'schema'

/** Native protocol v4, section 9. */
const CODES = {
  serverError: 0x0000,
  protocolError: 0x000a,
  badCredentials: 0x0100,
  unavailable: 0x1000,
  overloaded: 0x1001,
  isBootstrapping: 0x1002,
  writeTimeout: 0x1100,
  readTimeout: 0x1200,
  casWriteUnknown: 0x1700,
  unauthorized: 0x2100,
} as const

const SERIAL_LEVELS: readonly unknown[] = [0x0008, 0x0009]

/** What the driver's errors have, whichever class they are of. */
interface DriverError extends Error {
  readonly code?: number
  /** The level that was not met. */
  readonly consistencies?: number
  readonly required?: number
  readonly alive?: number
  readonly isSocketError?: boolean
  readonly requestNotWritten?: boolean
  readonly innerErrors?: Readonly<Record<string, unknown>> | null
}

export function explainDriverFailure(error: unknown, kind: StatementKind): CassandraFailure {
  if (error instanceof CassandraFailure) return error
  const { reason, isSettled } = judge(error as DriverError, kind)
  return new CassandraFailure(reason, messageOf(error as DriverError), isSettled || kind === 'read', { cause: error })
}

/** A connection that was not made. */
export function explainConnectFailure(
  error: unknown,
  { localDataCenter }: { readonly localDataCenter: string },
): CassandraFailure {
  if (error instanceof CassandraFailure) return error
  const known = /Available DCs are: \[(.*)\]/.exec((error as Error).message)?.[1]
  if (known !== undefined) {
    const names = known.split(',').toSorted().join(', ')
    const message = `cassandra_local_datacenter: expected a data center of the cluster (${names}), got '${localDataCenter}'`
    return new CassandraFailure('refused', message, true, { cause: error })
  }
  const { reason } = judge(error as DriverError, 'read')
  return new CassandraFailure(reason, messageOf(error as DriverError), true, { cause: error })
}

interface Judgement {
  readonly reason: FailureReason
  readonly isSettled: boolean
}

const settled = (reason: FailureReason): Judgement => ({ reason, isSettled: true })
const open = (reason: FailureReason): Judgement => ({ reason, isSettled: false })

function judge(error: DriverError, kind: StatementKind): Judgement {
  if (error.name === 'NoHostAvailableError') return judgeNoHost(error)
  if (error.name === 'OperationTimedOutError') return open('timeout')
  if (error.name === 'BusyConnectionError') return settled('overloaded')
  if (error.name === 'AuthenticationError') return settled('refused')
  if (error.isSocketError === true) return { reason: 'unreachable', isSettled: error.requestNotWritten === true }
  if (error.name === 'ResponseError') return judgeResponse(error, kind)
  // A value that can't be encoded, a statement that is none: nothing was sent.
  if (error instanceof TypeError || error.name === 'ArgumentError') return settled('invalid')
  return open('unreachable')
}

/** A write is passed on to another node only where the node before certainly didn't take it. */
function judgeNoHost({ innerErrors }: DriverError): Judgement {
  const inner = Object.values(innerErrors ?? {}).filter((one) => one instanceof Error)
  for (const [name, reason] of [
    ['AuthenticationError', 'refused'],
    ['BusyConnectionError', 'overloaded'],
  ] as const) {
    if (inner.some((one) => one.name === name)) return settled(reason)
  }
  // A node that answered knows more than those that didn't. Only reads go on to another node after an answer.
  const answer = inner.find((one) => one.name === 'ResponseError')
  if (answer !== undefined) return judgeResponse(answer, 'read')
  return settled(inner.some(isCertificateError) ? 'refused' : 'unreachable')
}

function judgeResponse({ code = 0, message, consistencies }: DriverError, kind: StatementKind): Judgement {
  switch (code) {
    case CODES.unavailable:
      // Told before anything is sent; but a lightweight transaction is told so also between its decision and its commit, with the level of the latter.
      return { reason: 'unavailable', isSettled: kind !== 'conditional' || SERIAL_LEVELS.includes(consistencies) }
    case CODES.overloaded:
      // Too many hints is found out while the replicas are being written to; all other overload before.
      return { reason: 'overloaded', isSettled: !/hint/i.test(message) }
    case CODES.isBootstrapping:
      return settled('unavailable')
    case CODES.writeTimeout:
    case CODES.readTimeout:
    case CODES.casWriteUnknown:
      return open('timeout')
    case CODES.badCredentials:
    case CODES.unauthorized:
      return settled('refused')
    case CODES.protocolError:
      return settled('invalid')
    default:
      // From 0x2000 on the request itself is at fault, and was not tried; what is below failed on the way.
      return code >= 0x2000 ? settled('invalid') : open('unavailable')
  }
}

function messageOf(error: DriverError): string {
  const inner = Object.entries(error.innerErrors ?? {})
  if (inner.length === 0) return error.name === 'NoHostAvailableError' ? 'no node could be asked' : error.message
  const hosts = inner.map(([host, cause]) => `${host}: ${cause instanceof Error ? cause.message : String(cause)}`)
  return `no node could be asked (${hosts.join('; ')})`
}

const CERTIFICATE_ERRORS = /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT)/

function isCertificateError(error: Error): boolean {
  return CERTIFICATE_ERRORS.test(String((error as { code?: unknown }).code))
}
