/** Speaks with an ACME server (RFC 8555) in the name of one account. Everything rejects with `AcmeFailure`. */
import { createHmac } from 'node:crypto'
import { HttpAsker, type HttpAnswer, type HttpQuestion } from '#pdk/ask-http.ts'
import type { AccountKey } from './account-key.ts'
import { AcmeFailure } from './failure.ts'

export interface AccountTerms {
  readonly email: string
  readonly isTosAccepted: boolean
  /** What binds the account to one that the operator has with the authority; the key is base64url. Null for none. */
  readonly external: { readonly keyId: string; readonly macKey: string } | null
}

export interface Replied {
  readonly answer: HttpAnswer
  /** The body where it is a JSON object, else empty. */
  readonly body: Readonly<Record<string, unknown>>
}

interface Directory {
  readonly newNonce: URL
  readonly newAccount: URL
  readonly newOrder: URL
  readonly wantsExternalAccount: boolean
}

/** Servers refuse a nonce when they have restarted, or asked another of their machines. */
const NONCE_TRIES = 5

export class AcmeClient {
  readonly key: AccountKey
  readonly #asker: HttpAsker
  readonly #url: URL
  #directory: Directory | null = null
  #nonce: string | null = null
  #account: string | null = null

  constructor(asker: HttpAsker, directoryUrl: string, key: AccountKey) {
    this.#asker = asker
    this.#url = new URL(directoryUrl)
    this.key = key
  }

  /** Finds the account of the key, or makes it (RFC 8555 7.3). Must come before everything else. */
  async openAccount({ email, isTosAccepted, external }: AccountTerms): Promise<void> {
    const directory = await this.#readDirectory()
    if (external === null && directory.wantsExternalAccount)
      throw new AcmeFailure(
        'refused',
        `${this.#url.host} wants eab_kid and eab_hmac_key: an account that it knows already`,
      )
    const payload = {
      contact: [`mailto:${email}`],
      ...(isTosAccepted && { termsOfServiceAgreed: true }),
      ...(external !== null && { externalAccountBinding: this.#bind(directory.newAccount, external) }),
    }
    const { answer } = await this.#post(directory.newAccount, payload)
    this.#account = answer.headers['location'] ?? null
    if (this.#account === null) throw new AcmeFailure('failed', `${this.#url.host} named no account`)
  }

  async newOrder(name: string): Promise<{ readonly url: URL; readonly order: Replied['body'] }> {
    const { newOrder } = await this.#readDirectory()
    const { answer, body } = await this.#post(newOrder, { identifiers: [{ type: 'dns', value: name }] })
    return { url: this.link(answer.headers['location']), order: body }
  }

  post(url: URL, payload: object): Promise<Replied> {
    return this.#post(url, payload)
  }

  /** Reads (RFC 8555 6.3, POST-as-GET). */
  read(url: URL, accept = 'application/json'): Promise<Replied> {
    return this.#post(url, null, accept)
  }

  /** An address that the server gave, on a server that the operator did not forbid: what it says never leads from https to http. */
  link(text: unknown): URL {
    const url = typeof text === 'string' ? URL.parse(text, this.#url) : null
    if (url === null || (url.protocol !== 'https:' && url.protocol !== this.#url.protocol))
      throw new AcmeFailure(
        'failed',
        `${this.#url.host}: expected an address, got ${JSON.stringify(text)?.slice(0, 200)}`,
      )
    return url
  }

  async #readDirectory(): Promise<Directory> {
    if (this.#directory !== null) return this.#directory
    const { answer, body } = await this.#ask(this.#url, {
      method: 'GET',
      headers: { Accept: 'application/json' },
      body: null,
    })
    if (answer.status !== 200) throw new AcmeFailure('failed', `${this.#url.href} answered ${answer.status}`)
    const meta = (body['meta'] ?? {}) as { readonly externalAccountRequired?: unknown }
    return (this.#directory = {
      newNonce: this.link(body['newNonce']),
      newAccount: this.link(body['newAccount']),
      newOrder: this.link(body['newOrder']),
      wantsExternalAccount: meta.externalAccountRequired === true,
    })
  }

  async #post(url: URL, payload: object | null, accept = 'application/json'): Promise<Replied> {
    for (let tries = 1; ; tries++) {
      const nonce = this.#nonce ?? (await this.#newNonce())
      this.#nonce = null
      const body = JSON.stringify(await this.#sign(url, nonce, payload === null ? '' : JSON.stringify(payload)))
      const headers = { 'Content-Type': 'application/jose+json', Accept: accept }
      const replied = await this.#ask(url, { method: 'POST', headers, body })
      if (replied.answer.status < 400) return replied
      const failure = failureOf(url, replied)
      if (failure.type !== 'badNonce' || tries === NONCE_TRIES) throw failure
    }
  }

  async #newNonce(): Promise<string> {
    const { newNonce } = await this.#readDirectory()
    await this.#ask(newNonce, { method: 'GET', headers: {}, body: null })
    const nonce = this.#nonce
    if (nonce === null) throw new AcmeFailure('failed', `${newNonce.href} gave no nonce`)
    return nonce
  }

  async #ask(url: URL, question: HttpQuestion): Promise<Replied> {
    // RFC 8555 6.1 wants it of clients, and servers refuse those that send none.
    const headers = { ...question.headers, 'User-Agent': 'meridian' }
    const answer = await this.#asker.ask(url, { ...question, headers })
    if ('problem' in answer) throw new AcmeFailure('failed', answer.problem)
    const nonce = answer.headers['replay-nonce']
    if (nonce !== undefined && /^[\w-]+$/.test(nonce)) this.#nonce = nonce
    return { answer, body: objectOf(answer) }
  }

  async #sign(url: URL, nonce: string, payload: string): Promise<object> {
    const { FlattenedSign } = await import('jose')
    const { algorithm: alg, jwk, privateKey } = this.key
    const known = this.#account === null ? { jwk } : { kid: this.#account }
    return await new FlattenedSign(Buffer.from(payload))
      .setProtectedHeader({ alg, nonce, url: url.href, ...known })
      .sign(privateKey)
  }

  /** RFC 8555 7.3.4; by hand, as jose signs with no HMAC key of less than 32 bytes and authorities give out shorter ones. */
  #bind(url: URL, { keyId, macKey }: NonNullable<AccountTerms['external']>): object {
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const head = encoded({ alg: 'HS256', kid: keyId, url: url.href })
    const payload = encoded(this.key.jwk)
    const signature = createHmac('sha256', Buffer.from(macKey, 'base64url'))
      .update(`${head}.${payload}`)
      .digest('base64url')
    return { protected: head, payload, signature }
  }
}

function objectOf({ headers, text }: HttpAnswer): Replied['body'] {
  if (!/\bjson\b/i.test(headers['content-type'] ?? '')) return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Replied['body']) : {}
  } catch {
    // What is missing in it is found by whoever looks for it.
    return {}
  }
}

const ERROR_TYPES = 'urn:ietf:params:acme:error:'

/** What the server says is wrong, in its own words, as long as they are not too many. */
export function problemText(problem: unknown): { readonly text: string; readonly type: string | null } {
  const { type, detail } = (typeof problem === 'object' && problem !== null ? problem : {}) as Record<string, unknown>
  const short = typeof type === 'string' && type.startsWith(ERROR_TYPES) ? type.slice(ERROR_TYPES.length, 100) : null
  const text = typeof detail === 'string' ? detail.slice(0, 500) : 'no reason is given'
  return { text: short === null ? text : `${short}: ${text}`, type: short }
}

function failureOf(url: URL, { answer, body }: Replied): AcmeFailure {
  const { text, type } = problemText(body)
  const outcome = answer.status >= 500 ? 'failed' : 'refused'
  return new AcmeFailure(outcome, `${url.host} answered ${answer.status}: ${text}`, type)
}
