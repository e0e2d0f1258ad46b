/** An ACME server whose every answer a test decides: it verifies nothing, which the real one of the end-to-end tests does. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { webcrypto } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { Certificate, CertificationRequest, Extension } from 'pkijs'

export interface ScriptedAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** An object becomes JSON. */
  readonly body?: unknown
}

type Answer = ScriptedAnswer | (() => ScriptedAnswer | Promise<ScriptedAnswer>)

/** What the server was told: the decoded parts of a signed request. */
export interface Told {
  readonly path: string
  readonly head: Readonly<Record<string, unknown>>
  readonly payload: unknown
}

export class ScriptedAcmeServer {
  readonly url: string
  readonly told: Told[] = []
  /** Answers by path, in place of those of an authority that is content with everything. */
  answers: Record<string, Answer> = {}
  readonly #server: Server
  /** Of the certificates that it gives out. */
  valid = { fromMs: 0, toMs: 1 }
  #nonces = 0
  #serial = 0

  private constructor(server: Server) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(): Promise<ScriptedAcmeServer> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const scripted = new ScriptedAcmeServer(server)
    server.on('request', async (request, response) => {
      let text = ''
      for await (const part of request) text += String(part)
      const path = request.url!
      if (request.method === 'POST') scripted.told.push(toldBy(path, text))
      const { status = 200, headers = {}, body = '' } = await scripted.#answerTo(path)
      const isObject = typeof body === 'object'
      response.writeHead(status, {
        'replay-nonce': `nonce-${++scripted.#nonces}`,
        ...(isObject && { 'content-type': 'application/json' }),
        ...(headers as Record<string, string>),
      })
      response.end(isObject ? JSON.stringify(body) : body)
    })
    return scripted
  }

  /** The addresses of what an order has. */
  at(path: string): string {
    return `${this.url}${path}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #answerTo(path: string): ScriptedAnswer | Promise<ScriptedAnswer> {
    const given = this.answers[path] ?? this.#usual()[path] ?? { status: 404, body: {} }
    return typeof given === 'function' ? given() : given
  }

  #usual(): Record<string, Answer> {
    const order = { authorizations: [this.at('/authz')], finalize: this.at('/finalize'), certificate: this.at('/cert') }
    const challenges = [
      { type: 'dns-01', token: 'other', url: this.at('/other') },
      { type: 'http-01', token: 'the-token', url: this.at('/challenge') },
    ]
    const status = (path: string, after: string) => (this.#isAsked(path) ? 'valid' : after)
    return {
      '/dir': { body: { newNonce: this.at('/nonce'), newAccount: this.at('/account'), newOrder: this.at('/order') } },
      '/nonce': { status: 204 },
      '/account': { status: 201, headers: { location: this.at('/account/1') }, body: { status: 'valid' } },
      '/order': { status: 201, headers: { location: this.at('/order/1') }, body: { ...order, status: 'pending' } },
      '/order/1': () => ({ body: { ...order, status: status('/finalize', 'ready') } }),
      '/authz': () => ({ body: { status: status('/challenge', 'pending'), challenges } }),
      '/challenge': { body: {} },
      '/finalize': { body: order },
      '/cert': async () => ({ body: await this.#issue() }),
    }
  }

  /** A certificate for the key and the names of the request that came last, by an authority of its own. */
  async #issue(): Promise<string> {
    const { csr } = this.told.findLast(({ path }) => path === '/finalize')!.payload as { readonly csr: string }
    const request = CertificationRequest.fromBER(new Uint8Array(Buffer.from(csr, 'base64url')).buffer)
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
    const keys = await webcrypto.subtle.generateKey(algorithm, false, ['sign', 'verify'])
    const certificate = new Certificate()
    certificate.version = 2
    certificate.serialNumber.valueBlock.valueDec = ++this.#serial
    certificate.notBefore.value = new Date(this.valid.fromMs)
    certificate.notAfter.value = new Date(this.valid.toMs)
    certificate.subjectPublicKeyInfo = request.subjectPublicKeyInfo
    certificate.extensions = (
      request.attributes![0]!.values[0] as { valueBlock: { value: unknown[] } }
    ).valueBlock.value.map((schema) => new Extension({ schema: schema as never }))
    await certificate.sign(keys.privateKey, 'SHA-256')
    const lines = Buffer.from(certificate.toSchema(true).toBER(false))
      .toString('base64')
      .match(/.{1,64}/g)!
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  }

  #isAsked(path: string): boolean {
    return this.told.some((told) => told.path === path)
  }
}

function toldBy(path: string, text: string): Told {
  const { protected: head, payload } = JSON.parse(text) as { protected: string; payload: string }
  const decoded = (part: string) => (part === '' ? null : JSON.parse(Buffer.from(part, 'base64url').toString()))
  return { path, head: decoded(head) as Told['head'], payload: decoded(payload) as unknown }
}
