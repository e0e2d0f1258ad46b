/**
 * Gets certificates and renews them, in the main thread of each node. Of several nodes one at a time gets a certificate for a name:
 * it has the name's lease in the store of short-lived values, where it also leaves the challenge for all, and after a failure the
 * moment until which nobody tries again. The certificate goes into the configuration, and from there to every node.
 */
import type { LookupFunction } from 'node:net'
import { isDomainName } from '#core/host-patterns.ts'
import type { CheckContext, Model } from '#model/contract.ts'
import type { Document } from '#model/document.ts'
import { HttpAsker } from '#pdk/ask-http.ts'
import { ACME_PLUGIN, type ChallengeType } from '#pdk/acme-challenges.ts'
import type { RuntimeStore, StateReader } from '#store/contract.ts'
import type { Writer } from '#store/writer.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { PluginLog } from '#pdk'
import { openAcmeClient } from './account.ts'
import { certificatesOf, isDue } from './certificate-facts.ts'
import { writeCertificate } from './certificate-write.ts'
import { mayHave, type AcmeConfig, type AcmeInstance } from './configuration.ts'
import { AcmeFailure } from './failure.ts'
import { certificateFor, managedCertificates } from './managed-certificates.ts'
import { orderCertificate } from './order.ts'
import { makeCertificateRequest, makeChallengeCertificate } from './requests.ts'

export interface IssuerOptions {
  readonly instances: () => readonly AcmeInstance[]
  /** Entities that every worker holds, with secrets in place of references. */
  readonly documents: (kind: string) => readonly Document[]
  readonly state: StateReader
  readonly model: Model
  readonly writer: Writer
  readonly check: () => CheckContext
  readonly runtime: RuntimeStore
  readonly figures: Figures
  readonly log: PluginLog
  readonly lookup: LookupFunction
  /** PEM of the authorities that ACME servers are verified against; null for Node's own list. */
  readonly trusted: string | null
  readonly nowMs: () => number
}

export type Obtained =
  | { readonly is: 'issued'; readonly revision: number }
  /** There is one, and it is not due. */
  | { readonly is: 'present' }
  /** Another node, or another request of this one, is about it. */
  | { readonly is: 'busy' }
  /** It failed not long ago. */
  | { readonly is: 'resting' }
  | { readonly is: 'not_allowed' }
  | { readonly is: 'failed'; readonly problem: string }

/** More often than Kong's once a day, as there are certificates that last for a week. */
const RENEWAL_MS = 3_600_000
/** For one answer of the server. */
const ASK_MS = 10_000
/** An answer over this size is none; chains of certificates have some kilobytes. */
const ANSWER_BYTES_MAX = 512 * 1024
const CONNECTIONS = 4
/** For a whole order: authorities look from several places, and again when they see nothing. */
const ORDER_MS = 120_000
/** Longer than an order with everything around it can take, so that nobody begins a second one. */
const LEASE_MS = 300_000
/** A challenge that nobody took back, because its node is gone. */
const CHALLENGE_MS = ORDER_MS + 2 * ASK_MS
/** Within this time every node sees the new certificate in its own copy of the configuration; until then none renews it by an old one. */
const SETTLED_MS = 600_000
/** No longer than this part of the certificate's own time. */
const SETTLED_PART = 1 / 10
/** Names that wait to get a certificate; those beyond come again with their next request. */
const WANTED_MAX = 100

const LEASES = `${ACME_PLUGIN}/lease`
const RESTS = `${ACME_PLUGIN}/rest`
const SETTLED = `${ACME_PLUGIN}/settled`

export class CertificateIssuer {
  readonly #options: IssuerOptions
  /** Asks whatever has to do with it, within its bounds. */
  readonly asker: HttpAsker
  readonly #wanted = new Set<string>()
  #working: Promise<void> = Promise.resolve()
  #renewing: Promise<void> | null = null
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  /** When the first of the managed certificates ends, Unix ms; Infinity while none is known. */
  #firstEndMs = Infinity

  constructor(options: IssuerOptions) {
    this.#options = options
    const { lookup, trusted, figures, nowMs } = options
    this.asker = new HttpAsker({
      timeoutMs: ASK_MS,
      connections: CONNECTIONS,
      keepaliveMs: ASK_MS,
      isVerified: true,
      trusted,
      lookup,
      answerBytesMax: ANSWER_BYTES_MAX,
    })
    figures.gauge('meridian_acme_first_expiry_seconds', {}, () =>
      this.#firstEndMs === Infinity ? 0 : (this.#firstEndMs - nowMs()) / 1000,
    )
  }

  /** A client was shown the fallback for this name. Gets a certificate in the background, one after the other. */
  want(name: string): void {
    if (this.#isClosed || this.#wanted.has(name) || this.#wanted.size >= WANTED_MAX) return
    this.#wanted.add(name)
    this.#working = this.#working.then(async () => {
      this.#wanted.delete(name)
      if (!this.#isClosed) await this.obtain(name, { isForced: false })
    })
  }

  /** Gets a certificate for the name; `isForced` also where there is one, and soon after a failure. Never rejects. */
  async obtain(name: string, { isForced }: { readonly isForced: boolean }): Promise<Obtained> {
    const { instances, runtime, log, figures } = this.#options
    const instance = isDomainName(name) ? instances().find(({ config }) => mayHave(config, name)) : undefined
    if (instance === undefined) return { is: 'not_allowed' }
    const { config } = instance
    const rest = `${config.api_uri} ${name}`
    try {
      if (!isForced) {
        if (!(await this.#isNeeded(name, config))) return { is: 'present' }
        if ((await runtime.get(RESTS, rest)) !== undefined) return { is: 'resting' }
        if ((await runtime.get(SETTLED, name)) !== undefined) return { is: 'present' }
      }
      if (!(await runtime.putIfAbsent(LEASES, name, true, LEASE_MS))) return { is: 'busy' }
      try {
        const { revision, livesMs } = await this.#issue(instance, name)
        await runtime.delete(RESTS, rest)
        await runtime.put(SETTLED, name, true, Math.max(1000, Math.min(SETTLED_MS, livesMs * SETTLED_PART)))
        figures.counter('meridian_plugin_calls_total', { plugin: ACME_PLUGIN, call: 'order', outcome: 'answered' })
          .value++
        log.info({ host: name, plugin_id: instance.id, revision }, 'a certificate was issued')
        return { is: 'issued', revision }
      } catch (error) {
        const restMs = config.fail_backoff_minutes * 60_000
        if (restMs > 0 && !this.#isClosed) await runtime.put(RESTS, rest, true, restMs)
        throw error
      } finally {
        await runtime.delete(LEASES, name)
      }
    } catch (error) {
      // Another node, or the next start, goes on with it.
      if (this.#isClosed) return { is: 'failed', problem: 'the gateway is stopping' }
      const outcome = error instanceof AcmeFailure ? error.outcome : 'failed'
      figures.counter('meridian_plugin_calls_total', { plugin: ACME_PLUGIN, call: 'order', outcome }).value++
      const problem = (error as Error).message
      log.error({ host: name, plugin_id: instance.id, problem }, 'a certificate could not be got')
      return { is: 'failed', problem }
    }
  }

  /** Looks for what is due, now and every hour. */
  begin(): void {
    this.#timer = setInterval(() => void this.renew(), RENEWAL_MS)
    void this.renew()
  }

  /** Renews what is due. Rounds at the same time are one. */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew()
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'certificates could not be looked through'))
      .finally(() => (this.#renewing = null))
    return this.#renewing
  }

  /** Orders under way fail at their next question. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    this.asker.close()
    await Promise.all([this.#working, this.#renewing])
  }

  async #renew(): Promise<void> {
    const { instances, state } = this.#options
    if (instances().length === 0) return
    let firstEndMs = Infinity
    const due: string[] = []
    for await (const { name, certificate } of managedCertificates(state)) {
      const config = instances().find((instance) => mayHave(instance.config, name))?.config
      if (config === undefined) continue
      firstEndMs = Math.min(firstEndMs, certificate.validToDate.getTime())
      if (isDue(certificate, config.renew_threshold_days, this.#options.nowMs())) due.push(name)
    }
    this.#firstEndMs = firstEndMs
    for (const name of due) if (!this.#isClosed) await this.obtain(name, { isForced: false })
  }

  async #isNeeded(name: string, { renew_threshold_days: days }: AcmeConfig): Promise<boolean> {
    const certificate = await certificateFor(this.#options.state, name)
    return certificate === null || isDue(certificate, days, this.#options.nowMs())
  }

  /** The revision in which the certificate is, and for how long it is valid. */
  async #issue(
    { workspace, config }: AcmeInstance,
    name: string,
  ): Promise<{ readonly revision: number; readonly livesMs: number }> {
    const { runtime, documents, nowMs } = this.#options
    const client = await openAcmeClient({ asker: this.asker, runtime, documents }, config)
    const kind =
      config.cert_type === 'rsa' ? ({ type: 'rsa', bits: config.rsa_key_size } as const) : ({ type: 'ecc' } as const)
    const { key, csr } = await makeCertificateRequest(name, kind)
    const cert = await orderCertificate({
      client,
      name,
      challenge: config.challenge,
      csr,
      preferredChain: config.preferred_chain ?? null,
      publish: (token, keyAuthorization) => this.#publish(config.challenge, name, token, keyAuthorization),
      withdraw: (token) => runtime.delete(spaceOf(config.challenge), placeOf(config.challenge, name, token)),
      deadlineMs: ORDER_MS,
      nowMs,
    })
    const written = await writeCertificate(this.#options, { name, workspace, cert, key })
    if ('problem' in written) throw new AcmeFailure('failed', written.problem)
    const endsMs = certificatesOf(cert)[0]!.validToDate.getTime()
    this.#firstEndMs = Math.min(this.#firstEndMs, endsMs)
    return { revision: written.revision, livesMs: endsMs - nowMs() }
  }

  async #publish(type: ChallengeType, name: string, token: string, keyAuthorization: string): Promise<void> {
    const { runtime, nowMs } = this.#options
    const value =
      type === 'http-01' ? keyAuthorization : await makeChallengeCertificate(name, keyAuthorization, nowMs())
    await runtime.put(spaceOf(type), placeOf(type, name, token), value, CHALLENGE_MS)
  }
}

function spaceOf(type: ChallengeType): string {
  return `${ACME_PLUGIN}/${type}`
}

/** By what a challenge of the type is asked for. */
function placeOf(type: ChallengeType, name: string, token: string): string {
  return type === 'http-01' ? token : name
}
