/**
 * Sessions of browsers that have logged in, with the clocks of the session plugin. The tokens are in sealed cookies, or in the store of
 * short-lived values under the id that a sealed cookie has.
 */
import { FOREVER_MS, type Exchange, type RuntimeValues } from '#pdk'
import { cookieValues, removeCookies } from '#pdk/cookies.ts'
import type { TextSeal } from '#pdk/text-seal.ts'
import type { Claims } from '../identity/claims.ts'
import { dueOf, isLive, newSession, remaining, renewed, type Session, type Timeouts } from '../session/session.ts'
import { attributesFor, type CookieRules } from './cookie-rules.ts'
import type { CookiesOut } from './cookies-out.ts'

/** What a login brought. */
export interface Login {
  readonly idToken: string
  readonly accessToken: string
  readonly refreshToken: string | null
  /** Unix ms at which the access token ends; null when the provider does not say. */
  readonly expiresAtMs: number | null
  readonly scope: string | null
  readonly userInfo: Claims | null
}

export interface LiveSession {
  readonly session: Session
  readonly login: Login
}

interface Sealed {
  readonly session: Session
  readonly login: Login | null
}

export interface SessionOptions {
  readonly seal: TextSeal
  readonly rules: CookieRules
  readonly out: CookiesOut
  readonly timeouts: Timeouts
  /** What a session is for: issuer and audience. Another one's session is none here. */
  readonly audience: string
  /** Null: all is in the cookies. */
  readonly store: RuntimeValues | null
}

/** Of one cookie, and how many of them a session may have: over that the tokens have to be in the store. */
const CHUNK = 3800
const MOST_CHUNKS = 6
/** Requests under way carry the id from before. */
const STALE_MS = 10_000

export class Sessions {
  readonly #options: SessionOptions
  constructor(options: SessionOptions) {
    this.#options = options
  }

  find(exchange: Exchange): LiveSession | null | Promise<LiveSession | null> {
    const { timeouts, audience, store } = this.#options
    const sealed = this.#open(exchange)
    if (sealed === null || sealed.session.audience !== audience) return null
    const { session, login } = sealed
    if (!isLive(session, timeouts, exchange.now) || (login === null) !== (store !== null)) return null
    if (login !== null) return { session, login }
    const found = store!.recall('sessions', session.id)
    const live = (value: unknown) => (value === undefined ? null : { session, login: value as Login })
    return found instanceof Promise ? found.then(live) : live(found)
  }

  /** A session with an id of its own: never one that the client brought (session fixation). False: it fits in no cookies. */
  async begin(exchange: Exchange, login: Login, before: LiveSession | null): Promise<boolean> {
    const session = newSession(this.#options.audience, exchange.now, exchange.now)
    if (before !== null) await this.#options.store?.delete('sessions', before.session.id)
    return this.#keep(exchange, { session, login }, true)
  }

  /** What is due for a session that is used: nothing, a new touch, a new id. */
  async use(exchange: Exchange, live: LiveSession): Promise<void> {
    const due = dueOf(live.session, this.#options.timeouts, exchange.now)
    if (due === 'touch')
      await this.#keep(exchange, { ...live, session: { ...live.session, touchedMs: exchange.now } }, false)
    if (due !== 'renew') return
    await this.#keep(exchange, { ...live, session: renewed(live.session, exchange.now) }, true)
    await this.#options.store?.put('sessions', live.session.id, live.login, STALE_MS)
  }

  isDue(exchange: Exchange, { session }: LiveSession): boolean {
    return dueOf(session, this.#options.timeouts, exchange.now) !== 'nothing'
  }

  /** The tokens were replaced. */
  async replace(exchange: Exchange, { session }: LiveSession, login: Login): Promise<LiveSession> {
    const live = { session, login }
    await this.#keep(exchange, live, true)
    return live
  }

  /** Rejects when the store can't be asked; then the session is still there. */
  async end(exchange: Exchange, live: LiveSession): Promise<void> {
    await this.#options.store?.delete('sessions', live.session.id)
    this.forget(exchange)
  }

  forget(exchange: Exchange): void {
    const { rules, out } = this.#options
    const attributes = attributesFor(rules, exchange)
    for (let chunk = 1; chunk <= MOST_CHUNKS; chunk++) {
      const name = this.#nameOf(chunk)
      if (chunk === 1 || cookieValues(exchange.request.headers, name).length > 0) out.forget(exchange, name, attributes)
    }
  }

  hideCookies(exchange: Exchange): void {
    const { name } = this.#options.rules
    removeCookies(
      exchange.request.headers,
      (one) => one === name || (one.startsWith(`${name}_`) && /_[2-6]$/.test(one)),
    )
  }

  async #keep(exchange: Exchange, { session, login }: LiveSession, isNew: boolean): Promise<boolean> {
    const { seal, rules, out, store, timeouts } = this.#options
    const sealed: Sealed = { session, login: store === null ? login : null }
    const text = seal.seal(JSON.stringify(sealed))
    const count = Math.ceil(text.length / CHUNK)
    if (count > MOST_CHUNKS) return false
    if (store !== null && isNew) {
      const [, rolling, absolute] = remaining(session, timeouts, exchange.now)
      const leftMs = Math.min(rolling, absolute)
      await store.put('sessions', session.id, login, leftMs === Infinity ? FOREVER_MS : leftMs)
    }
    const attributes = attributesFor(rules, exchange)
    for (let chunk = 1; chunk <= count; chunk++) {
      const part = text.slice((chunk - 1) * CHUNK, chunk * CHUNK)
      out.set(exchange, this.#nameOf(chunk), chunk === 1 ? `${count}.${part}` : part, attributes, null)
    }
    for (let chunk = count + 1; chunk <= MOST_CHUNKS; chunk++) {
      const name = this.#nameOf(chunk)
      if (cookieValues(exchange.request.headers, name).length > 0) out.forget(exchange, name, attributes)
    }
    return true
  }

  #open(exchange: Exchange): Sealed | null {
    const { headers } = exchange.request
    for (const first of cookieValues(headers, this.#options.rules.name)) {
      const count = /^[1-6]\./.test(first) ? Number(first[0]) : 0
      if (count === 0) continue
      let text = first.slice(2)
      for (let chunk = 2; chunk <= count; chunk++) text += cookieValues(headers, this.#nameOf(chunk))[0] ?? ''
      const opened = this.#options.seal.open(text)
      if (opened !== null) return JSON.parse(opened) as Sealed
    }
    return null
  }

  #nameOf(chunk: number): string {
    const { name } = this.#options.rules
    return chunk === 1 ? name : `${name}_${chunk}`
  }
}
