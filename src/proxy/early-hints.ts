import type { ResponseHead } from '#http/response-head.ts'
import { NOT_PASSED } from './client-head.ts'
import { statusLine } from './reasons.ts'

/** 103, for the client as the upstream gave it (RFC 8297). */
export function earlyHintsHead(head: ResponseHead): string {
  return statusLine(103, null) + head.headers.serialise(NOT_PASSED) + '\r\n'
}
