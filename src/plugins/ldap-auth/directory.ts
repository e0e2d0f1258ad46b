/**
 * Asks an LDAP server whether a name has a password, by a bind (RFC 4511 4.2). Connections are kept and used by one bind at a time;
 * none is ever made again under way: after StartTLS that would send the password in the clear.
 */
import { connect as connectTcp, isIP, type LookupFunction, type NetConnectOpts, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import {
  Client,
  InappropriateAuthError,
  InvalidCredentialsError,
  InvalidDNSyntaxError,
  NoSuchObjectError,
  UnwillingToPerformError,
} from 'ldapts'

export interface DirectoryOptions {
  readonly host: string
  readonly port: number
  readonly security: 'none' | 'ldaps' | 'start_tls'
  readonly verifiesHost: boolean
  /** PEM of authorities; null for Node's own. */
  readonly trusted: string | null
  readonly lookup: LookupFunction
  /** For the whole of a bind, with its connection. */
  readonly timeoutMs: number
  /** How long an unused connection is kept. */
  readonly keepaliveMs: number
}

/** `failed`: the server could not say. */
export type BindOutcome = { readonly is: 'right' | 'wrong' } | { readonly is: 'failed'; readonly error: Error }

/** Binds at one time, and those that wait: a server that is slow must not take the worker along. */
const MOST_CONNECTIONS = 32
const MOST_WAITING = 1000

interface Connection {
  readonly client: Client
  readonly sockets: Socket[]
  idleSinceMs: number
}

export class Directory {
  readonly #options: DirectoryOptions
  readonly #idle: Connection[] = []
  readonly #waiting: (() => void)[] = []
  #busy = 0
  readonly #sweep: NodeJS.Timeout
  #isClosed = false

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#sweep = setInterval(
      () => this.#endIdle(Date.now() - options.keepaliveMs),
      Math.max(1000, options.keepaliveMs),
    )
    this.#sweep.unref()
  }

  async bind(dn: string, password: string): Promise<BindOutcome> {
    const deadlineMs = performance.now() + this.#options.timeoutMs
    if (this.#busy >= MOST_CONNECTIONS && !(await this.#turn()))
      return failed(new Error('too many binds are under way'))
    this.#busy++
    try {
      return await this.#bindBy(dn, password, deadlineMs)
    } finally {
      this.#busy--
      this.#waiting.shift()?.()
    }
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#sweep)
    this.#endIdle(Infinity)
  }

  /** Resolves when it may go on, false when too many wait, or too long. */
  #turn(): Promise<boolean> {
    if (this.#waiting.length >= MOST_WAITING) return Promise.resolve(false)
    return new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer)
        resolve(true)
      }
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        resolve(false)
      }, this.#options.timeoutMs)
      this.#waiting.push(go)
    })
  }

  /** A kept connection may have been closed by the server in this moment: then it is tried again, once, on a new one. */
  async #bindBy(dn: string, password: string, deadlineMs: number): Promise<BindOutcome> {
    const kept = this.#takeIdle()
    if (kept !== null) {
      const outcome = await this.#bindOn(kept, dn, password, deadlineMs)
      if (outcome.is !== 'failed') return outcome
    }
    return this.#bindOn(this.#open(), dn, password, deadlineMs)
  }

  async #bindOn(connection: Connection, dn: string, password: string, deadlineMs: number): Promise<BindOutcome> {
    const leftMs = deadlineMs - performance.now()
    if (leftMs <= 0) {
      destroy(connection)
      return failed(new Error(`no answer within ${this.#options.timeoutMs} ms`))
    }
    // The library has no deadline for a TLS handshake; without its sockets everything ends.
    const timer = setTimeout(() => destroy(connection), leftMs)
    try {
      if (this.#options.security === 'start_tls' && !connection.client.isConnected)
        await connection.client.startTLS(this.#tlsOptions())
      await connection.client.bind(dn, password)
      this.#keep(connection)
      return { is: 'right' }
    } catch (error) {
      if (isRefusal(error)) {
        this.#keep(connection)
        return { is: 'wrong' }
      }
      destroy(connection)
      const cause =
        performance.now() >= deadlineMs ? new Error(`no answer within ${this.#options.timeoutMs} ms`) : error
      return failed(cause as Error)
    } finally {
      clearTimeout(timer)
    }
  }

  #open(): Connection {
    const { host, port, security, timeoutMs } = this.#options
    const sockets: Socket[] = []
    const once = (socket: () => Socket): Socket => {
      if (sockets.length > 0) throw new Error('the connection is gone')
      const made = socket()
      sockets.push(made)
      return made
    }
    const isTls = security === 'ldaps'
    const name = host.includes(':') ? `[${host}]` : host
    const client = new Client({
      url: `${isTls ? 'ldaps' : 'ldap'}://${name}:${port}`,
      timeout: timeoutMs,
      connectTimeout: timeoutMs,
      createConnection: () => once(() => connectTcp(this.#address())),
      createSecureConnection: ((options: ConnectionOptions) =>
        isTls
          ? once(() => connectTls({ ...this.#address(), ...this.#tlsOptions() }))
          : connectTls(options)) as unknown as typeof connectTls,
    })
    return { client, sockets, idleSinceMs: 0 }
  }

  #address(): NetConnectOpts & { host: string; port: number } {
    const { host, port, lookup } = this.#options
    return { host, port, lookup, autoSelectFamily: false }
  }

  #tlsOptions(): ConnectionOptions {
    const { host, verifiesHost, trusted } = this.#options
    return {
      host,
      rejectUnauthorized: verifiesHost,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(trusted === null ? {} : { ca: trusted }),
    }
  }

  #takeIdle(): Connection | null {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined) return null
      if (connection.client.isConnected) return connection
      destroy(connection)
    }
  }

  #keep(connection: Connection): void {
    if (this.#isClosed || this.#options.keepaliveMs === 0 || !connection.client.isConnected) return destroy(connection)
    connection.idleSinceMs = Date.now()
    this.#idle.push(connection)
  }

  #endIdle(beforeMs: number): void {
    const ended = this.#idle.filter(({ idleSinceMs }) => idleSinceMs <= beforeMs)
    for (const connection of ended) {
      this.#idle.splice(this.#idle.indexOf(connection), 1)
      destroy(connection)
    }
  }
}

/** The server answered, and the answer is no. Whatever else went wrong says nothing about the password. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof InvalidCredentialsError ||
    error instanceof NoSuchObjectError ||
    error instanceof InvalidDNSyntaxError ||
    error instanceof InappropriateAuthError ||
    error instanceof UnwillingToPerformError
  )
}

function failed(error: Error): BindOutcome {
  return { is: 'failed', error }
}

function destroy({ sockets }: Connection): void {
  for (const socket of sockets) socket.destroy()
}
