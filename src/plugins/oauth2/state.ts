import type { EntityReader, Exchange, FieldName } from '#pdk'
import type { AnonymousConsumer } from '#pdk/authentication.ts'
import type { Config } from './schema.ts'
import type { Tokens } from './tokens.ts'

/** What a configuration of oauth2 is prepared to. */
export interface State {
  readonly config: Config
  readonly pluginId: string
  readonly entities: EntityReader
  readonly tokens: Tokens
  /** Where access tokens come, and the names of clients. */
  readonly header: FieldName
  readonly anonymous: AnonymousConsumer
  /** `Bearer`, with the realm. */
  readonly challenge: string
  /** The service that tokens made here are for; null for every one. */
  serviceOf(exchange: Exchange): string | null
}
