/** Getting certificates by ACME, as the gateway builds it, and what the Admin API sees of it. */
import type { Resolver } from '#core/resolution.ts'
import type { AcmeCertificates } from '#admin/ports.ts'
import { viewOf } from '#acme/certificate-facts.ts'
import { acmeInstances, type AcmeInstance } from '#acme/configuration.ts'
import { CertificateIssuer } from '#acme/issuer.ts'
import { managedCertificateFor, managedCertificates } from '#acme/managed-certificates.ts'
import { checkHttpChallenge } from '#acme/sanity-check.ts'
import type { Model } from '#model/contract.ts'
import type { Settings } from '#model/settings.ts'
import type { Publisher } from '#snapshot/publisher.ts'
import type { ConfigStore } from '#store/contract.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import { nodeLookup } from '#upstream/dns/node-lookup.ts'
import { checkContext, type OpenedStore } from './gateway-store.ts'
import { trustedAuthorities } from './trusted-authorities.ts'

export interface CertificateParts {
  readonly settings: Settings
  readonly opened: OpenedStore
  readonly publisher: Publisher
  readonly resolver: Resolver
  readonly model: Model
  readonly figures: Figures
  readonly log: GatewayLog['log']
}

export function openCertificates({
  settings,
  opened,
  publisher,
  resolver,
  model,
  figures,
  log,
}: CertificateParts): CertificateIssuer {
  return new CertificateIssuer({
    instances: () => instancesOf(publisher),
    documents: (kind) => publisher.resolvedAll(kind),
    state: opened.store,
    model,
    writer: opened.writer,
    check: () => checkContext(settings, Date.now()),
    runtime: opened.runtime,
    figures,
    log,
    lookup: nodeLookup(resolver),
    trusted: trustedAuthorities(settings),
    nowMs: Date.now,
  })
}

function instancesOf(publisher: Publisher): AcmeInstance[] {
  const named = publisher.held('plugins').filter(({ document }) => document?.['name'] === 'acme')
  return acmeInstances(
    named.map((change) => ({ ...change, document: publisher.resolved('plugins', change.id) ?? null })),
  )
}

/** How long an answer waits until this node serves what was got. */
const SERVING_MS = 2000

export function acmePort(issuer: CertificateIssuer, store: ConfigStore, publisher: Publisher): AcmeCertificates {
  return {
    isConfigured: () => instancesOf(publisher).length > 0,
    checkHttp: (host) => checkHttpChallenge(issuer.asker, host),
    async obtain(host) {
      const obtained = await issuer.obtain(host, { isForced: true })
      if (obtained.is === 'issued') await publisher.waitFor(obtained.revision, SERVING_MS)
      return obtained
    },
    renew: () => void issuer.renew(),
    async list() {
      const nowMs = Date.now()
      const found = await Array.fromAsync(managedCertificates(store))
      return found.map(({ name, certificate }) => viewOf(name, certificate, nowMs))
    },
    async find(host) {
      const certificate = await managedCertificateFor(store, host)
      return certificate === null ? null : viewOf(host, certificate, Date.now())
    },
  }
}
