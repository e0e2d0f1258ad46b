/** A session and its three clocks. All times are Unix ms; a time-out of 0 is none. */
import { randomBytes } from 'node:crypto'

/** Who is logged in. */
export interface Login {
  /** Null where authentication knows no consumer, as with LDAP. */
  readonly consumer: string | null
  readonly credential: string
  readonly groups: readonly string[] | null
}

export interface Session {
  /** Another one with each renewal; made here, never taken from a client. */
  readonly id: string
  readonly audience: string
  /** When the user logged in: the absolute time-out counts from here. */
  readonly startedMs: number
  /** When it was last renewed, for the rolling time-out. */
  readonly rolledMs: number
  /** When it was last seen, for the time-out of idle ones; at most a minute late. */
  readonly touchedMs: number
}

export interface Timeouts {
  readonly idlingMs: number
  readonly rollingMs: number
  readonly absoluteMs: number
}

/** As in Kong: a session that is used is touched once a minute, and renewed when three quarters of its time are over. */
const TOUCHED_EVERY_MS = 60_000
const RENEWED_AFTER = 0.75

export function newSession(audience: string, startedMs: number, nowMs: number): Session {
  return { id: randomBytes(32).toString('base64url'), audience, startedMs, rolledMs: nowMs, touchedMs: nowMs }
}

export function renewed(session: Session, nowMs: number): Session {
  return newSession(session.audience, session.startedMs, nowMs)
}

export function isLive(session: Session, timeouts: Timeouts, nowMs: number): boolean {
  return remaining(session, timeouts, nowMs).every((ms) => ms > 0)
}

/** What is due for a live session. */
export function dueOf(
  session: Session,
  { idlingMs, rollingMs }: Timeouts,
  nowMs: number,
): 'nothing' | 'touch' | 'renew' {
  if (rollingMs > 0 && nowMs - session.rolledMs >= rollingMs * RENEWED_AFTER) return 'renew'
  return idlingMs > 0 && nowMs - session.touchedMs >= Math.min(TOUCHED_EVERY_MS, idlingMs / 2) ? 'touch' : 'nothing'
}

/** Until it is idle for too long, has to be renewed, ends: Infinity for what is not limited. */
export function remaining(session: Session, timeouts: Timeouts, nowMs: number): readonly [number, number, number] {
  const left = (sinceMs: number, limitMs: number) => (limitMs > 0 ? sinceMs + limitMs - nowMs : Infinity)
  return [
    left(session.touchedMs, timeouts.idlingMs),
    left(session.rolledMs, timeouts.rollingMs),
    left(session.startedMs, timeouts.absoluteMs),
  ]
}
