/** How services are reached over TLS: contexts with certificates and trust, made once per combination and shared. */
import { createSecureContext, type SecureContext } from 'node:tls'
import { createHash } from 'node:crypto'
import type { Document } from '#model/document.ts'
import type { Service } from '#model/entities/service.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import type { TlsTarget } from './pool.ts'

export interface TlsDefaults {
  /** `upstream_tls_verify`: for services that don't say. */
  readonly verify: boolean
  /** PEM of trusted authorities; null is Node's own list. */
  readonly trusted: string | null
  readonly clientCertificate: { readonly cert: string; readonly key: string } | null
}

type FindEntity = (kind: string, id: string) => Document | undefined

/** Contexts kept; certificates are few, so this bounds only what changes often. */
const MAX_CONTEXTS = 1000

export class UpstreamTls {
  #defaults: TlsDefaults
  #contexts = new Map<string, SecureContext>()

  constructor(defaults: TlsDefaults) {
    this.#defaults = defaults
  }

  /** What connections to the service need; by server name, because each target may have its own. */
  targetsOf(service: Service, upstream: Upstream | null, find: FindEntity): (servername: string) => TlsTarget {
    const pair = this.#clientCertificate(service, upstream, find)
    const authorities = (service.ca_certificates ?? []).flatMap((id) => {
      const authority = find('ca_certificates', id)
      return authority === undefined ? [] : [authority['cert'] as string]
    })
    const { context, key } = this.#context(pair, authorities)
    const isVerified = service.tls_verify ?? this.#defaults.verify
    const verifyDepth = service.tls_verify_depth ?? null
    const made = new Map<string, TlsTarget>()
    return (servername) => {
      let target = made.get(servername)
      if (target === undefined) {
        if (made.size >= MAX_CONTEXTS) made.clear()
        made.set(servername, (target = { servername, isVerified, verifyDepth, context, contextKey: key }))
      }
      return target
    }
  }

  /** Kong's order: the service's, the upstream's, `client_ssl_cert`. */
  #clientCertificate(
    service: Service,
    upstream: Upstream | null,
    find: FindEntity,
  ): { cert: string; key: string } | null {
    const reference = service.client_certificate ?? upstream?.client_certificate
    if (reference) {
      const certificate = find('certificates', reference.id)
      if (certificate !== undefined) return { cert: certificate['cert'] as string, key: certificate['key'] as string }
    }
    return this.#defaults.clientCertificate
  }

  #context(
    pair: { cert: string; key: string } | null,
    authorities: readonly string[],
  ): { context: SecureContext; key: string } {
    const ca = authorities.length > 0 ? authorities : this.#defaults.trusted === null ? null : [this.#defaults.trusted]
    const key = createHash('sha256')
      .update(JSON.stringify([pair, ca]))
      .digest('base64')
    let context = this.#contexts.get(key)
    if (context === undefined) {
      if (this.#contexts.size >= MAX_CONTEXTS) this.#contexts.clear()
      context = createSecureContext({
        ...(pair === null ? {} : { cert: pair.cert, key: pair.key }),
        ...(ca === null ? {} : { ca: [...ca] }),
      })
      this.#contexts.set(key, context)
    }
    return { context, key }
  }
}
