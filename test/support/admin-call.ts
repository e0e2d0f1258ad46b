import assert from 'node:assert/strict'
import type { Gateway } from './gateway.ts'

/** A call of a gateway's Admin API that has to succeed; what it answers, null for nothing. */
export async function adminCall(
  gateway: Pick<Gateway, 'adminUrl'>,
  method: string,
  target: string,
  body?: object,
  // Tests look into answers of any shape.
): Promise<any> {
  const response = await fetch(gateway.adminUrl + target, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await response.text()
  assert.ok(response.ok, `${method} ${target}: ${response.status} ${text}`)
  return text === '' ? null : JSON.parse(text)
}
