/** Cookies that an exchange's response will set: decided while the request is looked at, written when the response's head is there. */
import type { Exchange } from '#pdk'
import { setCookie, type CookieAttributes } from '#pdk/cookies.ts'

interface CookieOut {
  readonly value: string
  readonly attributes: CookieAttributes
  /** Null: until the browser ends. */
  readonly maxAgeS: number | null
}

export class CookiesOut {
  readonly #waiting = new WeakMap<Exchange, Map<string, CookieOut>>()

  /** The last of a name counts. */
  set(exchange: Exchange, name: string, value: string, attributes: CookieAttributes, maxAgeS: number | null): void {
    let cookies = this.#waiting.get(exchange)
    if (cookies === undefined) this.#waiting.set(exchange, (cookies = new Map()))
    cookies.set(name, { value, attributes, maxAgeS })
  }

  forget(exchange: Exchange, name: string, attributes: CookieAttributes): void {
    this.set(exchange, name, '', attributes, 0)
  }

  write(exchange: Exchange): void {
    const cookies = this.#waiting.get(exchange)
    if (cookies === undefined) return
    for (const [name, { value, attributes, maxAgeS }] of cookies)
      setCookie(exchange.response.headers, name, value, attributes, maxAgeS)
  }
}
