/** Logins that are kept on this side (`storage = kong`), by the id of their session. */
import { setTimeout as delay } from 'node:timers/promises'
import type { PluginLog, RuntimeValues } from '#pdk'
import type { Login, Session } from './session.ts'

/**
 * The head of a response can't wait for the store, so the next request may be here before the login is: then it is looked for
 * again, for as long as the session is so new.
 */
const NEW_MS = 5000
const LOOK_AGAIN_MS = 50
const LOOKS = 10

export class LoginStore {
  readonly #runtime: RuntimeValues
  readonly #log: PluginLog
  #isFailing = false

  constructor(runtime: RuntimeValues, log: PluginLog) {
    this.#runtime = runtime
    this.#log = log
  }

  find(session: Session, nowMs: number): Login | null | Promise<Login | null> {
    const found = this.#runtime.recall('logins', session.id)
    if (found instanceof Promise) return this.#wait(session, nowMs, found)
    return found === undefined ? null : (found as Login)
  }

  async #wait(session: Session, nowMs: number, first: Promise<unknown>): Promise<Login | null> {
    let found = await first
    const looks = nowMs - session.rolledMs < NEW_MS ? LOOKS : 1
    for (let look = 1; found === undefined && look < looks; look++) {
      await delay(LOOK_AGAIN_MS)
      found = await this.#runtime.get('logins', session.id)
    }
    return (found as Login | undefined) ?? null
  }

  /** Does not wait. A login that can't be kept is one that the client has to repeat; that is logged once. */
  keep(session: Session, login: Login, ttlMs: number): void {
    this.#supervise(this.#runtime.put('logins', session.id, login, ttlMs))
  }

  /** When it has been removed, the session is over everywhere within a second. */
  remove(session: Session): Promise<void> {
    return this.#runtime.delete('logins', session.id)
  }

  /** Like `remove`, without waiting. */
  drop(session: Session): void {
    this.#supervise(this.remove(session))
  }

  #supervise(done: Promise<void>): void {
    done.then(
      () => {
        this.#isFailing = false
      },
      (error: unknown) => {
        if (!this.#isFailing)
          this.#log.error({ err: error }, 'a session cannot be stored, its user has to log in again')
        this.#isFailing = true
      },
    )
  }
}
