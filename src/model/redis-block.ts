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
