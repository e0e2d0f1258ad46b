/** HTTP/2 connections to targets: a request goes over one that has room, and only then over a new one. */
import type { Deadlines } from '#core/deadlines.ts'
import type { Outbox } from '#http/outbox.ts'
import { UpstreamSession } from './h2-session.ts'
import type { UpstreamLink } from './link.ts'
import { openSocket } from './open-socket.ts'
import type { PoolFigures, PoolSettings, TlsTarget } from './pool.ts'

const HTTP_2 = ['h2']

export class Http2Pool {
  readonly #settings: PoolSettings
  readonly #deadlines: Deadlines
  readonly #outbox: Outbox
  readonly #figures: PoolFigures
  #sessions = new Map<string, UpstreamSession[]>()

  constructor(settings: PoolSettings, deadlines: Deadlines, outbox: Outbox, figures: PoolFigures) {
    this.#settings = settings
    this.#deadlines = deadlines
    this.#outbox = outbox
    this.#figures = figures
  }

  /** A stream to the target; when its connection does not stand yet, the sink that is given to `begin` hears how that ends. */
  link(key: string, ip: string, port: number, tls: TlsTarget | null): UpstreamLink {
    const sessions = this.#sessions.get(key)
    if (sessions !== undefined) {
      for (const session of sessions) {
        if (!session.hasRoom) continue
        this.#figures.reused++
        return session.link()
      }
    }
    return this.#open(key, ip, port, tls).link()
  }

  #open(key: string, ip: string, port: number, tls: TlsTarget | null): UpstreamSession {
    this.#figures.created++
    this.#figures.open++
    const socket = openSocket({ ip, port, tls, protocols: HTTP_2 })
    socket.once('close', () => this.#figures.open--)
    const session = new UpstreamSession(
      socket,
      key,
      tls !== null,
      this.#settings,
      this.#deadlines,
      this.#outbox,
      (gone) => this.#forget(gone),
    )
    const sessions = this.#sessions.get(key)
    if (sessions === undefined) this.#sessions.set(key, [session])
    else sessions.push(session)
    return session
  }

  #forget(session: UpstreamSession): void {
    const sessions = this.#sessions.get(session.poolKey)
    const at = sessions?.indexOf(session) ?? -1
    if (at < 0) return
    sessions!.splice(at, 1)
    if (sessions!.length === 0) this.#sessions.delete(session.poolKey)
  }
}
