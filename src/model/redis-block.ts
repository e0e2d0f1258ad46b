import { t } from './schema.ts'

/** The `redis` block of Kong's plugins: which Redis, and how it is reached. */
export interface RedisBlock {
  /** An address, or the name of a profile of the settings. */
  readonly host: string | null
  readonly port: number | null
  /** ms */
  readonly timeout: number | null
  readonly username: string | null
  readonly password: string | null
  readonly database: number | null
  readonly ssl: boolean | null
  readonly ssl_verify: boolean | null
  readonly server_name: string | null
}

/** Its fields, as Kong 3.9 has them in every plugin with a `redis` block. */
export const redisFields = {
  host: t.host(),
  port: t.port({ default: 6379 }),
  timeout: t.timeout({ default: 2000 }),
  username: t.string({ referenceable: true }),
  password: t.string({ len_min: 0, referenceable: true, encrypted: true }),
  database: t.integer({ default: 0 }),
  ssl: t.boolean({ required: false, default: false }),
  ssl_verify: t.boolean({ required: false, default: false }),
  server_name: t.sni({ required: false }),
}
