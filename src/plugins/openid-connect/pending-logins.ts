/**
 * Logins that a browser has begun and not finished: in a sealed cookie of that browser, so that nobody can end in its place, nor make
 * it end somebody else's (RFC 6749 10.12).
 */
import { randomBytes } from 'node:crypto'
import type { Exchange } from '#pdk'
import { cookieValues, removeCookies } from '#pdk/cookies.ts'
import type { TextSeal } from '#pdk/text-seal.ts'
import { attributesFor, type CookieRules } from './cookie-rules.ts'
import type { CookiesOut } from './cookies-out.ts'

export interface PendingLogin {
  readonly state: string
  readonly nonce: string
  /** RFC 7636 4.1. */
  readonly verifier: string
  /** Path and query that the browser asked for. */
  readonly target: string
  readonly redirectUri: string
  readonly atMs: number
}

/** Tabs that log in at the same time. */
const MOST_PENDING = 4
/** Browsers keep cookies of 4096 bytes with name and attributes (RFC 6265 6.1). */
const LONGEST_COOKIE = 3800
/** A longer one is not returned to. */
const LONGEST_TARGET = 1000

export class PendingLogins {
  readonly #seal: TextSeal
  readonly #rules: CookieRules
  readonly #out: CookiesOut
  readonly #timeoutMs: number

  constructor(seal: TextSeal, rules: CookieRules, out: CookiesOut, timeoutMs: number) {
    this.#seal = seal
    this.#rules = rules
    this.#out = out
    this.#timeoutMs = timeoutMs
  }

  /** Begins one; the cookie goes out with the response. */
  begin(exchange: Exchange, target: string, redirectUri: string): PendingLogin {
    const begun: PendingLogin = {
      state: randomText(16),
      nonce: randomText(16),
      verifier: randomText(32),
      target: target.length > LONGEST_TARGET ? '/' : target,
      redirectUri,
      atMs: exchange.now,
    }
    const pending = [...this.#read(exchange), begun].slice(-MOST_PENDING)
    this.#write(exchange, pending)
    return begun
  }

  find(exchange: Exchange, state: string): PendingLogin | null {
    return this.#read(exchange).find((one) => one.state === state) ?? null
  }

  /** Whatever comes of it, a login is finished once. */
  finish(exchange: Exchange, state: string): void {
    const left = this.#read(exchange).filter((one) => one.state !== state)
    if (left.length > 0) this.#write(exchange, left)
    else this.#out.forget(exchange, this.#rules.name, attributesFor(this.#rules, exchange))
  }

  hideCookie({ request }: Exchange): void {
    removeCookies(request.headers, (name) => name === this.#rules.name)
  }

  #read(exchange: Exchange): readonly PendingLogin[] {
    for (const value of cookieValues(exchange.request.headers, this.#rules.name)) {
      const text = this.#seal.open(value)
      if (text === null) continue
      const pending = JSON.parse(text) as readonly PendingLogin[]
      return pending.filter(({ atMs }) => exchange.now - atMs < this.#timeoutMs)
    }
    return []
  }

  #write(exchange: Exchange, pending: readonly PendingLogin[]): void {
    for (let from = 0; from < pending.length; from++) {
      const value = this.#seal.seal(JSON.stringify(pending.slice(from)))
      if (value.length > LONGEST_COOKIE && from < pending.length - 1) continue
      const attributes = attributesFor(this.#rules, exchange)
      this.#out.set(exchange, this.#rules.name, value, attributes, this.#timeoutMs / 1000)
      return
    }
  }
}

function randomText(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}
