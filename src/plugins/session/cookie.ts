/** What stands in the cookie: sealed, with the session's clocks, and with the login where nothing is stored on this side. */
import type { TextSeal } from '#pdk/text-seal.ts'
import type { Login, Session } from './session.ts'

export interface Opened {
  readonly session: Session
  /** Null: it is in the store, under the session's id. */
  readonly login: Login | null
}

/** Short names, because each request carries them. */
interface Written {
  readonly i: string
  readonly a: string
  readonly s: number
  readonly r: number
  readonly t: number
  readonly l?: readonly [consumer: string | null, credential: string, groups: readonly string[] | null]
}

export function sealSession(seal: TextSeal, { session, login }: Opened): string {
  const written: Written = {
    i: session.id,
    a: session.audience,
    s: session.startedMs,
    r: session.rolledMs,
    t: session.touchedMs,
    ...(login === null ? {} : { l: [login.consumer, login.credential, login.groups] }),
  }
  return seal.seal(JSON.stringify(written))
}

/** Null for everything that was not sealed here; what was sealed here is as it was written. */
export function openSession(seal: TextSeal, value: string): Opened | null {
  const text = seal.open(value)
  if (text === null) return null
  const { i, a, s, r, t, l } = JSON.parse(text) as Written
  return {
    session: { id: i, audience: a, startedMs: s, rolledMs: r, touchedMs: t },
    login: l === undefined ? null : { consumer: l[0], credential: l[1], groups: l[2] },
  }
}
