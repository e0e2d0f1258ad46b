/** An oauth2 plugin with clients and a store, as the tests ask it. */
import { pbkdf2Sync } from 'node:crypto'
import type { Exchange, Exit } from '#pdk'
import {
  FakeClock,
  FakeEntities,
  fakeExchange,
  FakeRuntime,
  headersOf,
  prepare,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { oauth2 } from './plugin.ts'
import type { State } from './state.ts'

export const ALICE = { id: '11111111-1111-4111-8111-000000000001', username: 'alice', custom_id: null, tags: null }
export const NOBODY = {
  id: '11111111-1111-4111-8111-00000000000a',
  username: 'anonymous-user',
  custom_id: null,
  tags: null,
}
export const SERVICE = { id: '22222222-2222-4222-8222-000000000001', name: 'orders' }
export const OTHER = { id: '22222222-2222-4222-8222-000000000002', name: 'other' }
export const CALLBACK = 'https://app.test/cb?own=1'

const client = (client_id: string, more: object = {}) => ({
  id: `credential-${client_id}`,
  name: client_id,
  client_id,
  client_secret: 'secret',
  client_type: 'confidential',
  hash_secret: false,
  redirect_uris: [CALLBACK, 'https://app.test/other'],
  consumer: { id: ALICE.id },
  ...more,
})
export const hashOf = (secret: string) =>
  `$pbkdf2-sha512$i=1000,l=32$c2FsdA$${pbkdf2Sync(secret, 'salt', 1000, 32, 'sha512').toString('base64').replaceAll('=', '')}`
export const ROWS = {
  consumers: [ALICE, NOBODY],
  oauth2_credentials: [
    client('app'),
    client('rival'),
    client('spa', { client_type: 'public', client_secret: null }),
    client('hashed', { hash_secret: true, client_secret: hashOf('secret') }),
    client('odd', { hash_secret: true, client_secret: '$pbkdf2-sha512$i=999999999,l=32$c2FsdA$AAAA' }),
    client('bare', { redirect_uris: null }),
    client('orphan', { consumer: { id: 'gone' } }),
  ],
  oauth2_tokens: [
    {
      id: 'row-1',
      access_token: 'taken-along',
      refresh_token: 'refresh-along',
      credential: { id: 'credential-app' },
      service: { id: SERVICE.id },
      scope: 'email',
      authenticated_userid: 'ann',
      expires_in: 0,
      created_at: 0,
    },
    {
      id: 'row-2',
      access_token: 'old',
      refresh_token: null,
      credential: { id: 'credential-app' },
      service: { id: SERVICE.id },
      scope: null,
      authenticated_userid: null,
      expires_in: 60,
      created_at: 1000,
    },
  ],
}
const ALL = {
  provision_key: 'provision',
  scopes: ['email', 'profile'],
  enable_authorization_code: true,
  enable_implicit_grant: true,
  enable_client_credentials: true,
  enable_password_grant: true,
}
export const USER = { provision_key: 'provision', authenticated_userid: 'ann' }

export class Server {
  readonly clock = new FakeClock()
  readonly runtime = new FakeRuntime(this.clock)
  readonly entities: FakeEntities
  readonly state: State

  constructor(config: object = {}, rows: Record<string, object[]> = ROWS) {
    this.entities = new FakeEntities(rows, 'async')
    this.state = this.other(config)
  }

  /** Another plugin configuration with the same store. */
  other(config: object, pluginId = '00000000-0000-4000-8000-0000000000ff'): State {
    return prepare(oauth2, { ...ALL, ...config }, { entities: this.entities, runtime: this.runtime, pluginId })
  }

  async run(
    request: FakeExchangeOptions,
    state: State = this.state,
  ): Promise<{ exchange: Exchange; exit: Exit | null }> {
    const exchange = fakeExchange({ service: SERVICE, now: this.clock.nowMs, scheme: 'https', ...request })
    return { exchange, exit: (await oauth2.access!(exchange, state)) ?? null }
  }

  async post(endpoint: string, body: object, request: FakeExchangeOptions = {}, state?: State): Promise<Answer> {
    const { exit } = await this.run({ method: 'POST', path: `/x/oauth2/${endpoint}`, body, ...request }, state)
    return { status: exit!.status, headers: Object.fromEntries(exit!.headers), ...JSON.parse(exit!.body as string) }
  }

  token(body: object, request: FakeExchangeOptions = {}, state?: State): Promise<Answer> {
    return this.post('token', { client_id: 'app', client_secret: 'secret', ...body }, request, state)
  }

  authorize(body: object = {}, request: FakeExchangeOptions = {}): Promise<Answer> {
    return this.post('authorize', { client_id: 'app', response_type: 'code', ...USER, ...body }, request)
  }

  async code(body: object = {}): Promise<string> {
    const { redirect_uri } = await this.authorize(body)
    return new URL(redirect_uri!).searchParams.get('code')!
  }

  async get(token: string, request: FakeExchangeOptions = {}, state?: State) {
    const { exchange, exit } = await this.run({ headers: { Authorization: `Bearer ${token}` }, ...request }, state)
    return { status: exit?.status ?? 200, exit, sent: headersOf(exchange.request.headers), exchange }
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly error?: string
  readonly error_description?: string
  readonly redirect_uri?: string
  readonly access_token?: string
  readonly refresh_token?: string
  readonly expires_in?: number
  readonly state?: string
}
