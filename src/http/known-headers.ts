/** Header names that the gateway itself reads: recognised once when parsed, so that finding one later is comparing integers. */

const NAMES = [
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  'proxy-connection',
  'proxy',
  'via',
  'server',
  'date',
  'content-type',
  'content-encoding',
  'accept',
  'accept-encoding',
  'user-agent',
  'cookie',
  'set-cookie',
  'authorization',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-path',
  'x-forwarded-prefix',
  'x-real-ip',
  'x-kong-request-id',
  'x-kong-proxy-latency',
  'x-kong-upstream-latency',
  'x-kong-response-latency',
  'x-kong-upstream-status',
  'apikey',
  'origin',
  'referer',
  'x-consumer-id',
  'x-consumer-custom-id',
  'x-consumer-username',
  'x-credential-identifier',
  'x-anonymous-consumer',
  'x-consumer-groups',
  'x-authenticated-groups',
  'vary',
  'location',
  'access-control-request-method',
  'access-control-request-headers',
  'http2-settings',
  // What plugins write into responses. Ids from 64 on share their bit with those from 32 on.
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'retry-after',
  'x-ratelimit-limit-second',
  'x-ratelimit-limit-minute',
  'x-ratelimit-limit-hour',
  'x-ratelimit-limit-day',
  'x-ratelimit-limit-month',
  'x-ratelimit-limit-year',
  'x-ratelimit-remaining-second',
  'x-ratelimit-remaining-minute',
  'x-ratelimit-remaining-hour',
  'x-ratelimit-remaining-day',
  'x-ratelimit-remaining-month',
  'x-ratelimit-remaining-year',
  'x-accel-expires',
  'x-accel-buffering',
  'x-accel-limit-rate',
  'x-accel-redirect',
  'x-accel-charset',
] as const
export type KnownHeader = (typeof NAMES)[number]

/** Ids start at 1; 0 is any other name. */
export const headerId = Object.fromEntries(NAMES.map((name, i) => [name, i + 1])) as {
  readonly [name in KnownHeader]: number
}

/** Candidates by length and first letter: rarely more than one. */
interface Candidate {
  readonly id: number
  readonly name: string
  readonly bytes: Uint8Array
  readonly first: number
}
const BY_LENGTH: Candidate[][] = []
for (const name of NAMES) {
  ;(BY_LENGTH[name.length] ??= []).push({
    id: headerId[name],
    name,
    bytes: Buffer.from(name),
    first: name.charCodeAt(0),
  })
}

/** The id of the name at `source[start, end)`, letters in any case; 0 when it is not a known one. */
export function identifyHeader(source: string, start: number, end: number): number {
  const candidates = BY_LENGTH[end - start]
  if (candidates === undefined) return 0
  const first = source.charCodeAt(start) | 0x20
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    if (candidate.first === first && equalsFolded(source, start, candidate.name)) return candidate.id
  }
  return 0
}

/** Whether `source` from `start` on equals `lower`, which is in lower case; ASCII letters in any case. */
export function equalsFolded(source: string, start: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    let code = source.charCodeAt(start + i)
    if (code >= 65 && code <= 90) code |= 0x20
    if (code !== lower.charCodeAt(i)) return false
  }
  return true
}

/** Like `identifyHeader` for a name that is still bytes. */
export function identifyHeaderBytes(bytes: Uint8Array, start: number, end: number): number {
  const candidates = BY_LENGTH[end - start]
  if (candidates === undefined) return 0
  const first = bytes[start]! | 0x20
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    if (candidate.first === first && equalsFoldedBytes(bytes, start, candidate.bytes)) return candidate.id
  }
  return 0
}

function equalsFoldedBytes(bytes: Uint8Array, start: number, lower: Uint8Array): boolean {
  for (let i = 0; i < lower.length; i++) {
    let code = bytes[start + i]!
    if (code >= 65 && code <= 90) code |= 0x20
    if (code !== lower[i]) return false
  }
  return true
}
