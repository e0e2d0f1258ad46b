/**
 * Tokens and codes, which live in the runtime store. Tokens that an operator wrote over the Admin API (such as those taken along
 * from Kong) are configuration: they are found, too, and what replaces them is noted in the runtime store.
 */
import { randomBytes } from 'node:crypto'
import { EXPIRES_AT, FOREVER_MS, type Document, type EntityReader, type RuntimeValues } from '#pdk'

/** What a token stands for. */
export interface Grant {
  /** Id of the client's credential. */
  readonly credential: string
  /** Id of the service that it is for; null for every one with `global_credentials`. */
  readonly service: string | null
  readonly scope: string | null
  readonly userId: string | null
}

export interface AccessToken extends Grant {
  /** Unix ms; null: it does not end. */
  readonly expiresAtMs: number | null
}

export interface RefreshToken extends Grant {
  /** The access token that was made with it. */
  readonly access: string | null
  /** Id of the row when it is configuration; null for one in the runtime store. */
  readonly rowId: string | null
}

export interface Code extends Grant {
  readonly plugin: string
  readonly challenge: string | null
}

export interface Issued {
  readonly accessToken: string
  readonly refreshToken: string | null
  /** Seconds; null: it does not end. */
  readonly expiresIn: number | null
}

export interface Lifetimes {
  /** Seconds; 0: for ever. */
  readonly accessS: number
  readonly refreshS: number
}

/** No token or code is longer, whoever made it; what is need not be looked for. */
const LONGEST = 1024
/** Kong's. */
const CODE_TTL_MS = 300_000

export class Tokens {
  readonly #runtime: RuntimeValues
  readonly #entities: EntityReader
  readonly #lifetimes: Lifetimes

  constructor(runtime: RuntimeValues, entities: EntityReader, lifetimes: Lifetimes) {
    this.#runtime = runtime
    this.#entities = entities
    this.#lifetimes = lifetimes
  }

  /** Null: there is none, or its time is over. May be a second late to know that it was replaced. */
  find(text: string, nowMs: number): AccessToken | null | Promise<AccessToken | null> {
    if (text.length > LONGEST) return null
    const issued = this.#runtime.recall('tokens', text)
    if (issued instanceof Promise)
      return issued.then((found) => (found === undefined ? this.#findRow(text, nowMs) : live(found, nowMs)))
    return issued === undefined ? this.#findRow(text, nowMs) : live(issued, nowMs)
  }

  async #findRow(text: string, nowMs: number): Promise<AccessToken | null> {
    const row = await this.#entities.lookup('oauth2_tokens', 'access_token', text)
    if (row === null || (await this.#runtime.recall('replaced', row.id)) !== undefined) return null
    return live(accessTokenOf(row), nowMs)
  }

  async findRefresh(text: string): Promise<RefreshToken | null> {
    if (text.length > LONGEST) return null
    const issued = (await this.#runtime.get('refresh', text)) as RefreshToken | undefined
    if (issued !== undefined) return issued
    const row = await this.#entities.lookup('oauth2_tokens', 'refresh_token', text)
    if (row === null || (await this.#runtime.get('replaced', row.id)) !== undefined) return null
    return { ...grantOf(row), access: (row['access_token'] as string | null) ?? null, rowId: row.id }
  }

  async issue(grant: Grant, options: { readonly withRefresh: boolean }, nowMs: number): Promise<Issued> {
    const refresh = options.withRefresh && this.#lifetimes.accessS > 0 ? newToken() : null
    return this.#put(grant, refresh, nowMs)
  }

  /**
   * Exchanges a refresh token for new tokens, and ends the access token that it was made with; null when somebody else just did.
   * The refresh token goes before the new ones come: when the store fails between, the user has to log in again, but no token
   * is good twice.
   */
  async refresh(
    text: string,
    before: RefreshToken,
    grant: Grant,
    isReused: boolean,
    nowMs: number,
  ): Promise<Issued | null> {
    if (before.rowId !== null) {
      if (!(await this.#runtime.putIfAbsent('replaced', before.rowId, true, FOREVER_MS)) && !isReused) return null
    } else {
      if (!isReused && (await this.#runtime.take('refresh', text)) === undefined) return null
      if (before.access !== null) await this.#runtime.delete('tokens', before.access)
    }
    return this.#put(grant, this.#lifetimes.accessS > 0 ? (isReused ? text : newToken()) : null, nowMs)
  }

  async putCode(code: Code): Promise<string> {
    const text = newToken()
    await this.#runtime.put('codes', text, code, CODE_TTL_MS)
    return text
  }

  async findCode(text: string): Promise<Code | null> {
    return text.length > LONGEST ? null : (((await this.#runtime.get('codes', text)) as Code | undefined) ?? null)
  }

  /** Whether the code was still there: it is good once. */
  async spendCode(text: string): Promise<boolean> {
    return (await this.#runtime.take('codes', text)) !== undefined
  }

  async #put(grant: Grant, refresh: string | null, nowMs: number): Promise<Issued> {
    const { accessS, refreshS } = this.#lifetimes
    const access = newToken()
    const value: AccessToken = { ...grant, expiresAtMs: accessS > 0 ? nowMs + accessS * 1000 : null }
    await this.#runtime.put('tokens', access, value, accessS > 0 ? accessS * 1000 : FOREVER_MS)
    if (refresh !== null) {
      const kept: RefreshToken = { ...grant, access, rowId: null }
      await this.#runtime.put('refresh', refresh, kept, refreshS > 0 ? refreshS * 1000 : FOREVER_MS)
    }
    return { accessToken: access, refreshToken: refresh, expiresIn: accessS > 0 ? accessS : null }
  }
}

/** 32 alphanumerics, as Kong makes them, of 24 random bytes. */
function newToken(): string {
  return randomBytes(24).toString('base64').replaceAll('+', 'a').replaceAll('/', 'b')
}

function live(value: unknown, nowMs: number): AccessToken | null {
  const token = value as AccessToken
  return token.expiresAtMs !== null && token.expiresAtMs <= nowMs ? null : token
}

function grantOf(row: Document): Grant {
  return {
    credential: (row['credential'] as { readonly id: string }).id,
    service: (row['service'] as { readonly id: string } | null)?.id ?? null,
    scope: (row['scope'] as string | null) ?? null,
    userId: (row['authenticated_userid'] as string | null) ?? null,
  }
}

/** The access part ends by `expires_in`, the whole row by its time to live. */
function accessTokenOf(row: Document): AccessToken {
  const expiresInS = row['expires_in'] as number
  const ends = [
    ...(expiresInS > 0 ? [((row['created_at'] as number) + expiresInS) * 1000] : []),
    ...(typeof row[EXPIRES_AT] === 'number' ? [row[EXPIRES_AT] * 1000] : []),
  ]
  return { ...grantOf(row), expiresAtMs: ends.length > 0 ? Math.min(...ends) : null }
}
