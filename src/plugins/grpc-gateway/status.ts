/** Statuses of HTTP for those of gRPC, as Kong 3.9 has them. */
const HTTP_STATUS = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 500, 500, 503, 500, 401] as const

export function httpStatusOf(grpcStatus: string): number {
  return (/^\d{1,2}$/.test(grpcStatus) ? HTTP_STATUS[Number(grpcStatus)] : undefined) ?? 500
}
