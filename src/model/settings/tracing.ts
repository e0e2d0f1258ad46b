/** Settings of traces, with Kong's names. */
import { accept, expect, type Kind } from './kind.ts'
import { choice, list } from './scalars.ts'
import { setting } from './setting.ts'

/** What spans can be recorded of; the last three are Kong's and never happen within a request here. */
export const INSTRUMENTATIONS = [
  'all',
  'request',
  'router',
  'balancer',
  'plugin_rewrite',
  'plugin_access',
  'plugin_header_filter',
  'dns_query',
  'db_query',
  'http_client',
] as const

export type Instrumentation = (typeof INSTRUMENTATIONS)[number]

const share: Kind<number> = {
  form: '0..1',
  shape: 'number',
  parse(text) {
    const value = /^\d(\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN
    return value >= 0 && value <= 1 ? accept(value) : expect('a number from 0 to 1')
  },
}

export const tracingSettings = {
  tracing_instrumentations: setting(
    list(choice(INSTRUMENTATIONS), { off: true }),
    'What the plugin opentelemetry records spans of: `all`, or `request` and what of it: `router`, `balancer`, `plugin_rewrite`, `plugin_access`, `plugin_header_filter`. With `off` it only passes traces on. `dns_query`, `db_query` and `http_client` are accepted and have no spans here: requests wait for none of them.',
    { default: 'off', aliases: ['opentelemetry_tracing'] },
  ),
  tracing_sampling_rate: setting(
    share,
    'Share of the requests without a decision of their sender that are traced; `sampling_rate` of the plugin wins.',
    { default: '0.01', aliases: ['opentelemetry_tracing_sampling_rate'] },
  ),
} as const
