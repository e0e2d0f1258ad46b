/** Logins that the provider said are over (OpenID Connect Front-Channel and Back-Channel Logout 1.0), by its session or by subject. */
import { LRUCache } from 'lru-cache'
import { FOREVER_MS, type RuntimeValues } from '#pdk'
import type { LoginFacts } from './login-subject.ts'

/** How long a worker believes that a login is not over. */
const BELIEVED_MS = 1000
const MOST_BELIEVED = 10_000

export class EndedLogins {
  readonly #runtime: RuntimeValues
  readonly #keptMs: number
  /** When a login was last found not to be over. */
  readonly #live = new LRUCache<string, number>({ max: MOST_BELIEVED })

  /** @param sessionMs no session lives longer; 0: for ever */
  constructor(runtime: RuntimeValues, sessionMs: number) {
    this.#runtime = runtime
    this.#keptMs = sessionMs > 0 ? sessionMs : FOREVER_MS
  }

  async endSession(issuer: string, sid: string, nowMs: number): Promise<void> {
    await this.#runtime.put('ended', `sid ${issuer} ${sid}`, nowMs, this.#keptMs)
  }

  /** All sessions of the subject that began until now. */
  async endSubject(issuer: string, subject: string, nowMs: number): Promise<void> {
    await this.#runtime.put('ended', `sub ${issuer} ${subject}`, nowMs, this.#keptMs)
  }

  /** False the first time that a logout token is shown. */
  async isSpent(issuer: string, tokenId: string, ttlMs: number): Promise<boolean> {
    return !(await this.#runtime.putIfAbsent('logout-tokens', `${issuer} ${tokenId}`, true, ttlMs))
  }

  /** At once when it was asked for within the second. Rejects when the store can't be asked. */
  isEnded(login: LoginFacts, startedMs: number, nowMs: number): boolean | Promise<boolean> {
    const key = `${login.issuer} ${login.sid ?? ''} ${login.subject} ${startedMs}`
    const seenMs = this.#live.get(key)
    if (seenMs !== undefined && nowMs - seenMs < BELIEVED_MS) return false
    return this.#ask(login, startedMs).then((isEnded) => {
      if (!isEnded) this.#live.set(key, nowMs)
      return isEnded
    })
  }

  async #ask({ issuer, sid, subject }: LoginFacts, startedMs: number): Promise<boolean> {
    const [bySid, bySubject] = await Promise.all([
      sid === null ? undefined : this.#runtime.get('ended', `sid ${issuer} ${sid}`),
      this.#runtime.get('ended', `sub ${issuer} ${subject}`),
    ])
    return bySid !== undefined || (typeof bySubject === 'number' && startedMs <= bySubject)
  }
}
