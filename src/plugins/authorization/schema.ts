import { t, type Static } from '#model/schema.ts'

/** Fields of the plugins that ask a service about each request. `timeout` in ms, `cache_ttl` in seconds. */
export const decidingFields = {
  max_body_bytes: t.integer({ required: true, default: 65536, between: [1, 16777216] }),
  timeout: t.integer({ required: true, default: 1000, between: [1, 60000] }),
  cache_ttl: t.number({ required: true, default: 0, between: [0, 86400] }),
  fail_open: t.boolean({ required: true, default: false }),
}
export type DecidingConfig = Static<typeof decidingFields> & { readonly ssl_verify: boolean }
