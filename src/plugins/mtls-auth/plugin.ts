/** Authentication by the certificate that a client shows in the TLS handshake, as Kong's mtls-auth documents it. */
import type { X509Certificate } from 'node:crypto'
import { definePlugin, FieldName, identify, type Consumer, type Document, type EntityReader, type Exchange } from '#pdk'
import { AnonymousConsumer, whenFound, type Outcome } from '#pdk/authentication.ts'
import { headerValue } from '#pdk/wire-text.ts'
import { mtlsAuthCredentials } from './entities.ts'
import { Fetcher } from './fetch.ts'
import { Revocations } from './revocation.ts'
import { schema } from './schema.ts'
import { Verdicts, type TrustedClient, type Verdict } from './verdicts.ts'

/** Certificates have few names; a certificate with more is of no one. */
const NAMES_MAX = 20

const CERTIFICATE_NAME = new FieldName('X-Client-Cert-Dn')
const CERTIFICATE_ALTERNATIVES = new FieldName('X-Client-Cert-San')

interface State {
  readonly entities: EntityReader
  readonly verdicts: Verdicts
  readonly fetcher: Fetcher
  readonly skipsConsumer: boolean
  readonly groupBy: 'CN' | 'DN'
  readonly consumerBy: readonly string[]
  readonly anonymous: AnonymousConsumer
  readonly fallback: AnonymousConsumer | null
}

export const mtlsAuth = definePlugin({
  schema,
  entities: [mtlsAuthCredentials],

  refuse(config) {
    for (const field of ['http_proxy_host', 'https_proxy_host'] as const)
      if (config[field] !== null) return { field, message: 'proxies towards authorities are not served' }
    return null
  },

  prepare(config, tools): State {
    const fetcher = new Fetcher(config.http_timeout ?? 30_000, tools)
    const mode = config.revocation_check_mode ?? 'IGNORE_CA_ERROR'
    const rules = {
      ids: config.ca_certificates,
      allowsPartial: config.allow_partial_chain,
      keepMs: config.cache_ttl * 1000,
      revocations: mode === 'SKIP' ? null : new Revocations(fetcher.fetch, config.cert_cache_ttl ?? 60_000),
      isStrict: mode === 'STRICT',
    }
    return {
      entities: tools.entities,
      verdicts: new Verdicts(rules, tools.entities),
      fetcher,
      skipsConsumer: config.skip_consumer_lookup,
      groupBy: config.authenticated_group_by === 'DN' ? 'DN' : 'CN',
      consumerBy: config.consumer_by ?? [],
      anonymous: new AnonymousConsumer(config.anonymous, tools),
      fallback: config.default_consumer === null ? null : new AnonymousConsumer(config.default_consumer, tools),
    }
  },

  wantsCertificates: (config) => (config['send_ca_dn'] === true ? (config['ca_certificates'] as string[]) : []),

  access(exchange, state): Outcome {
    if (state.anonymous.isSpared(exchange)) return
    // A client can't say of itself what its certificate would.
    CERTIFICATE_NAME.remove(exchange.request.headers)
    CERTIFICATE_ALTERNATIVES.remove(exchange.request.headers)
    const shown = exchange.request.tls?.clientCertificates ?? []
    if (shown.length === 0) return refuse(exchange, state, 'No required TLS certificate was sent')
    return whenFound(exchange, state.verdicts.of(shown, exchange.now), (verdict) => decide(exchange, state, verdict))
  },

  close({ fetcher }) {
    fetcher.close()
  },
})

function decide(exchange: Exchange, state: State, verdict: Verdict): Outcome {
  if (verdict === null) return refuse(exchange, state, 'TLS certificate failed verification')
  if (state.skipsConsumer) return admit(exchange, state, verdict)
  return whenFound(exchange, findOwner(exchange, state, verdict), (outcome) => outcome)
}

/** Without a consumer: the certificate's own names say who it is. */
function admit(exchange: Exchange, state: State, { commonName }: TrustedClient): void {
  const certificate = exchange.request.tls!.clientCertificates[0]!
  const name = distinguishedName(certificate)
  identify(exchange, null, { id: name, subject_name: name }, null)
  const { headers } = exchange.request
  CERTIFICATE_NAME.set(headers, headerValue(name))
  if (certificate.subjectAltName !== undefined)
    CERTIFICATE_ALTERNATIVES.set(headers, headerValue(certificate.subjectAltName))
  const group = state.groupBy === 'DN' ? name : commonName
  if (group !== null) exchange.shared.set('authenticated_groups', [group])
}

/** RFC 2253: the last part of the name first, as nginx and Kong write it. */
function distinguishedName({ subject }: X509Certificate): string {
  return subject.split('\n').toReversed().join(',')
}

/** Who has one of the names as a credential, else as a name of its own. */
async function findOwner(exchange: Exchange, state: State, client: TrustedClient): Promise<void | Awaited<Outcome>> {
  const { entities } = state
  const names = client.names.length > NAMES_MAX ? [] : client.names
  for (const name of names) {
    const credential = await entities.lookup('mtls_auth_credentials', 'subject_name', name)
    if (credential === null || !isOf(credential, client)) continue
    const consumer = await entities.get('consumers', (credential['consumer'] as { readonly id: string }).id)
    if (consumer !== null)
      return identify(exchange, consumer as unknown as Consumer, credential, credential['subject_name'] as string)
  }
  for (const name of names)
    for (const field of state.consumerBy) {
      const consumer = await entities.lookup('consumers', field, name)
      if (consumer !== null) return identify(exchange, consumer as unknown as Consumer, { id: name }, name)
    }
  if (state.fallback === null) return refuse(exchange, state, 'TLS certificate failed verification')
  return asFallback(exchange, state.fallback, client)
}

/** A credential may say that it is only for certificates of one authority. */
function isOf(credential: Document, { authority }: TrustedClient): boolean {
  const wanted = credential['ca_certificate'] as { readonly id: string } | null | undefined
  return wanted == null || wanted.id === authority
}

async function asFallback(
  exchange: Exchange,
  fallback: AnonymousConsumer,
  { names }: TrustedClient,
): Promise<Awaited<Outcome>> {
  const refusal = await fallback.standIn(exchange, exchange.fail(500, 'An unexpected error occurred'))
  if (refusal !== undefined) return refusal
  const name = names[0] ?? ''
  identify(exchange, exchange.consumer, { id: name }, name)
}

function refuse(exchange: Exchange, state: State, message: string): Outcome {
  return state.anonymous.standIn(exchange, exchange.fail(401, message))
}
