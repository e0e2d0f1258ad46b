/** Answers of the gateway's own to calls of gRPC: as Kong gives them, a status of gRPC and its message beside that of HTTP, and no body. */
import { encodeGrpcMessage } from '#core/grpc-message.ts'
import { HeaderList } from '#http/header-list.ts'
import { headerId } from '#http/known-headers.ts'
import type { ClientRequest } from '#pdk/exchange.ts'

const CONTENT_TYPE = headerId['content-type']
const GRPC = 'application/grpc'

/** Statuses of gRPC by those of HTTP, and their names (Kong 3.9). */
const STATUS: Readonly<Record<number, number>> = {
  200: 0,
  400: 3,
  401: 16,
  403: 7,
  404: 5,
  409: 6,
  429: 8,
  499: 1,
  500: 13,
  501: 12,
  503: 14,
  504: 4,
}
const NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const

export function grpcStatusOf(status: number): number {
  const known = STATUS[status]
  if (known !== undefined) return known
  if (status >= 500 && status < 600) return 13
  if (status >= 400 && status < 500) return 3
  return status >= 200 && status < 300 ? 0 : 2
}

/** Whether the content is said to be of gRPC, in whichever encoding. */
export function hasGrpcType(request: ClientRequest): boolean {
  const type = request.headers.getKnown(CONTENT_TYPE)
  return type !== null && type.startsWith(GRPC)
}

/** Whether the client understands no other answers. */
export function isGrpcCall(request: ClientRequest): boolean {
  return request.httpVersion === '2' && hasGrpcType(request)
}

/** Adds to `headers` what such a client is told; a status that is there stays. `message` null stands for the status's name. */
export function addGrpcStatus(headers: HeaderList, status: number, message: string | null): void {
  headers.set('Content-Type', GRPC)
  if (headers.has('grpc-status')) return
  const code = grpcStatusOf(status)
  headers.append('grpc-status', String(code))
  headers.append('grpc-message', encodeGrpcMessage(message ?? NAMES[code] ?? 'Unknown'))
}
