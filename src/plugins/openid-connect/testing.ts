/** A provider that the tests steer, ill-meaning ones included, and an openid-connect plugin that asks it. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import type { Exchange, Exit } from '#pdk'
import {
  FakeEntities,
  fakeExchange,
  FakeMetrics,
  FakeRuntime,
  headersOf,
  prepare,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { openidConnect } from './plugin.ts'

export const NOW = Date.parse('2030-01-01T00:00:00Z')
export const NOW_S = NOW / 1000
export const ANN = { id: '11111111-1111-4111-8111-000000000001', username: 'ann', custom_id: 'ann-custom', tags: null }
export const NOBODY = { id: '11111111-1111-4111-8111-00000000000a', username: 'nobody', custom_id: null, tags: null }
export const SECRET = 'a-secret-of-the-client-that-is-long'
export const CALLBACK = 'http://gw.test/callback'

export interface Question {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly form: URLSearchParams
}
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** An object becomes JSON. */
  readonly body?: unknown
}

export interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly jwk: JWK
}

export async function signingKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export class FakeProvider {
  readonly server: Server
  readonly issuer: string
  readonly asked: Question[] = []
  keys: SigningKey[] = []
  /** What is published beside the keys that sign. */
  extraJwks: unknown[] = []
  /** By path; wins over what it answers by itself. */
  answers: Record<string, (question: Question) => Answer | Promise<Answer>> = {}
  metadata: Record<string, unknown> = {}

  private constructor(server: Server) {
    this.server = server
    this.issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(): Promise<FakeProvider> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const provider = new FakeProvider(server)
    server.on('request', async (request, response) => {
      let text = ''
      for await (const part of request) text += String(part)
      const path = new URL(request.url ?? '/', 'http://x').pathname
      const question = { path, headers: request.headers, form: new URLSearchParams(text) }
      provider.asked.push(question)
      const { status = 200, headers = {}, body } = await (provider.answers[path]?.(question) ?? provider.#own(path))
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
      response.end(typeof body === 'string' ? body : JSON.stringify(body ?? {}))
    })
    provider.keys = [await signingKey('first')]
    return provider
  }

  askedFor(path: string): number {
    return this.asked.filter((question) => question.path === path).length
  }

  sign(claims: object = {}, header: object = {}, key: SigningKey = this.keys[0]!): Promise<string> {
    return new SignJWT({ iss: this.issuer, sub: 'ann', exp: NOW_S + 600, ...claims })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
      .sign(key.privateKey)
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  #own(path: string): Answer {
    const { issuer } = this
    if (path === '/jwks') return { body: { keys: [...this.keys.map(({ jwk }) => jwk), ...this.extraJwks] } }
    if (path !== '/.well-known/openid-configuration') return { status: 404 }
    return {
      body: {
        issuer,
        jwks_uri: `${issuer}/jwks`,
        authorization_endpoint: `${issuer}/auth?fixed=1`,
        token_endpoint: `${issuer}/token`,
        introspection_endpoint: `${issuer}/introspect`,
        userinfo_endpoint: `${issuer}/userinfo`,
        revocation_endpoint: `${issuer}/revoke`,
        end_session_endpoint: `${issuer}/end`,
        ...this.metadata,
      },
    }
  }
}

export interface Reply {
  /** 200 when the request would be proxied. */
  readonly status: number
  readonly exit: Exit | null
  readonly exchange: Exchange
  /** What the upstream would get. */
  readonly sent: Record<string, string | string[]>
  /** Cookies that the response sets; null for one that is taken away. */
  readonly cookies: Record<string, string | null>
  readonly setCookies: readonly string[]
  readonly location: URL | null
}

/** An instance of the plugin, and a browser that keeps its cookies where `jar` is given. */
export class Client {
  readonly runtime = new FakeRuntime()
  readonly metrics = new FakeMetrics()
  readonly logged: string[] = []
  readonly #state: ReturnType<NonNullable<typeof openidConnect.prepare>>

  constructor(provider: FakeProvider, config: object = {}, entities = new FakeEntities({ consumers: [ANN, NOBODY] })) {
    const log = (_fields: object, message: string) => void this.logged.push(message)
    this.#state = prepare(
      openidConnect,
      { issuer: provider.issuer, timeout: 2000, session_secret: 'of the tests', ...config },
      {
        entities,
        runtime: this.runtime,
        metrics: this.metrics,
        log: { error: log, warn: log, info: () => undefined, debug: () => undefined },
      },
    )
  }

  async ask(options: FakeExchangeOptions = {}, jar: Record<string, string> = {}): Promise<Reply> {
    const cookie = Object.entries(jar).map(([name, value]) => `${name}=${value}`)
    const headers = { ...(options.headers as object), ...(cookie.length > 0 && { Cookie: cookie.join('; ') }) }
    return this.run(fakeExchange({ now: NOW, ...options, headers }), jar)
  }

  async run(exchange: Exchange, jar: Record<string, string> = {}): Promise<Reply> {
    const exit = ((await openidConnect.access!(exchange, this.#state)) as Exit | undefined) ?? null
    openidConnect.responseHeaders!(exchange, this.#state)
    const setCookies = exchange.response.headers.getAll('set-cookie')
    const cookies: Record<string, string | null> = {}
    for (const text of setCookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(text) ?? []
      cookies[name] = text.includes('Max-Age=0') ? null : value
      if (cookies[name] === null) delete jar[name]
      else jar[name] = value
    }
    const location = exit?.headers.find(([name]) => name === 'Location')?.[1]
    return {
      status: exit?.status ?? 200,
      exit,
      exchange,
      sent: headersOf(exchange.request.headers),
      cookies,
      setCookies,
      location: location === undefined ? null : new URL(location, 'http://gw.test'),
    }
  }

  bearer(token: string, options: FakeExchangeOptions = {}): Promise<Reply> {
    return this.ask({ ...options, headers: { ...(options.headers as object), Authorization: `Bearer ${token}` } })
  }

  close(): void {
    openidConnect.close!(this.#state)
  }
}
