/** What clients are told of limits: Kong's fields, and those of the IETF draft (draft-ietf-httpapi-ratelimit-headers-10). */
import { FieldName, resetMs, waitMs, type HeaderList, type LimitDecision, type LimitWindow } from '#pdk'
import type { NamedLimit } from './windows.ts'

export interface ShownLimits {
  readonly limitHeaders: readonly FieldName[]
  readonly remainingHeaders: readonly FieldName[]
  readonly limitTexts: readonly string[]
  /** `RateLimit-Policy`, the same for every answer. */
  readonly policy: string
  readonly names: readonly string[]
}

/** What an answer is to say. */
export interface Standing {
  readonly remaining: readonly number[]
  /** Seconds until more is there, for each limit. */
  readonly resets: readonly number[]
  /** Index of the limit with the least left, the last of several. */
  readonly tightest: number
  /** Of a refused request; null of others. */
  readonly retryAfter: number | null
}

const LIMIT = new FieldName('RateLimit-Limit')
const REMAINING = new FieldName('RateLimit-Remaining')
const RESET = new FieldName('RateLimit-Reset')
const POLICY = new FieldName('RateLimit-Policy')
const RATE_LIMIT = new FieldName('RateLimit')
const RETRY_AFTER = new FieldName('Retry-After')

export function shownLimits(limits: readonly NamedLimit[]): ShownLimits {
  const titles = limits.map(({ name }) => name.charAt(0).toUpperCase() + name.slice(1))
  return {
    names: limits.map(({ name }) => name),
    limitHeaders: titles.map((title) => new FieldName(`X-RateLimit-Limit-${title}`)),
    remainingHeaders: titles.map((title) => new FieldName(`X-RateLimit-Remaining-${title}`)),
    limitTexts: limits.map(({ limit }) => String(limit)),
    policy: limits
      .map(({ name, most, windowSeconds }) => `"${name}";q=${Math.floor(most)};w=${windowSeconds}`)
      .join(', '),
  }
}

export function standingOf(
  windows: readonly LimitWindow[],
  { refusedBy, used, hasMoreElsewhere }: LimitDecision,
  cost: number,
  nowMs: number,
): Standing {
  const remaining = windows.map(({ most }, i) => Math.max(0, Math.floor(most - used[i]! + 1e-9)))
  const resets = windows.map((window, i) => seconds(resetMs(window, used[i]!, nowMs)))
  let tightest = 0
  for (let i = 1; i < windows.length; i++) if (remaining[i]! <= remaining[tightest]!) tightest = i
  if (refusedBy === 0) return { remaining, resets, tightest, retryAfter: null }
  const at = refusedBy - 1
  // What other data centers have left may be here with the next exchange.
  const retryAfter = hasMoreElsewhere ? 1 : seconds(waitMs(windows[at]!, used[at]!, cost, nowMs))
  return { remaining, resets, tightest: at, retryAfter }
}

export function writeHeaders(headers: HeaderList, shown: ShownLimits, standing: Standing): void {
  const { remaining, resets, tightest, retryAfter } = standing
  let rateLimit = ''
  for (let i = 0; i < remaining.length; i++) {
    shown.limitHeaders[i]!.set(headers, shown.limitTexts[i]!)
    shown.remainingHeaders[i]!.set(headers, String(remaining[i]))
    rateLimit += `${i === 0 ? '' : ', '}"${shown.names[i]}";r=${remaining[i]};t=${resets[i]}`
  }
  LIMIT.set(headers, shown.limitTexts[tightest]!)
  REMAINING.set(headers, String(remaining[tightest]))
  RESET.set(headers, String(resets[tightest]))
  POLICY.set(headers, shown.policy)
  RATE_LIMIT.set(headers, rateLimit)
  if (retryAfter !== null) RETRY_AFTER.set(headers, String(retryAfter))
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000))
}
