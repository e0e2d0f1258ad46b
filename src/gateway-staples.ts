/** OCSP stapling of the node: which certificates it is for, how responders are asked, and that all workers have the answers. */
import type { Resolver } from '#core/resolution.ts'
import path from 'node:path'
import { Stapler, type StapleState } from '#listen/stapler.ts'
import { stapleFolder } from '#listen/staple-folder.ts'
import type { Staple } from '#listen/staples.ts'
import type { Change, Document } from '#model/document.ts'
import type { Settings } from '#model/settings.ts'
import { HttpAsker } from '#pdk/ask-http.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import { nodeLookup } from '#upstream/dns/node-lookup.ts'
import type { Fallback } from './gateway-workers.ts'
import { trustedAuthorities } from './trusted-authorities.ts'

export interface NodeStaplesOptions {
  readonly settings: Settings
  readonly resolver: Resolver
  readonly log: GatewayLog['log']
  readonly figures: Figures
  /** Entities as workers get them. */
  readonly documents: (kind: 'certificates' | 'snis') => readonly Document[]
  readonly fallback: () => Fallback
  readonly tellAll: (staples: readonly Staple[]) => void
}

const TICK_MS = 1000
const ANSWER_WITHIN_MS = 10_000
/** An answer has one to two kilobytes, with its signer's certificate some more. */
const ANSWER_BYTES_MAX = 64 * 1024
/** How long a start waits for what is stored. */
const RESTORE_WITHIN_MS = 1000
const STATES: readonly StapleState[] = ['current', 'later', 'failing', 'revoked', 'impossible']

export class NodeStaples {
  readonly #options: NodeStaplesOptions
  readonly #stapler: Stapler
  readonly #close: () => void
  #isSetting = false
  #isWanted = false
  #done: Promise<void> = Promise.resolve()

  /** Null where the settings want none. */
  static open(options: NodeStaplesOptions): NodeStaples | null {
    return options.settings.ssl_stapling ? new NodeStaples(options) : null
  }

  private constructor(options: NodeStaplesOptions) {
    this.#options = options
    const { settings, resolver, log, figures, tellAll } = options
    const asker = new HttpAsker({
      timeoutMs: ANSWER_WITHIN_MS,
      connections: 4,
      keepaliveMs: 4000,
      isVerified: true,
      trusted: trustedAuthorities(settings),
      lookup: nodeLookup(resolver),
      answerBytesMax: ANSWER_BYTES_MAX,
    })
    this.#stapler = new Stapler({
      ask: (url, question) => askResponder(asker, url, question),
      store: stapleFolder(path.join(settings.prefix, 'staples')),
      nowMs: Date.now,
      random: Math.random,
      changed: tellAll,
      answered: (outcome) => figures.counter('meridian_ocsp_answers_total', { outcome }).value++,
      log,
    })
    for (const state of STATES) figures.gauge('meridian_ocsp_staples', { state }, () => this.#stapler.count(state))
    figures.gauge('meridian_ocsp_staple_end_seconds', {}, () => (this.#stapler.firstEndMs ?? 0) / 1000)
    const timer = setInterval(() => this.#stapler.tick(), TICK_MS)
    this.#close = () => {
      clearInterval(timer)
      this.#stapler.close()
      asker.close()
    }
  }

  staples(): readonly Staple[] {
    return this.#stapler.staples()
  }

  /** Takes what a revision changed. */
  published(changes: readonly Change[], isWhole: boolean): void {
    if (isWhole || changes.some(({ kind }) => kind === 'certificates' || kind === 'snis')) this.renew()
  }

  /** Looks at all certificates again: some may be new, or come from elsewhere. */
  renew(): void {
    // Several changes at once are looked at once.
    this.#isWanted = true
    if (this.#isSetting) return
    this.#isSetting = true
    this.#done = this.#renewed()
  }

  /** Resolves when what is stored is in use, or after a second. */
  async restored(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, RESTORE_WITHIN_MS)))
    await Promise.race([this.#done, late])
    clearTimeout(timer)
  }

  close(): void {
    this.#close()
  }

  async #renewed(): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false
      await this.#stapler.set(this.#chains())
    }
    this.#isSetting = false
  }

  /**
   * Of those that are shown to clients; others are for upstreams. Which of two in the settings a client gets is only known when it is
   * too late to say what is stapled: they go without.
   */
  #chains(): Set<string> {
    const { documents, fallback } = this.#options
    const { cert } = fallback()
    const shown = new Set(documents('snis').map((sni) => (sni['certificate'] as { readonly id: string }).id))
    const chains = new Set<string>()
    for (const { id, cert: own, cert_alt: other } of documents('certificates')) {
      if (!shown.has(id)) continue
      chains.add(own as string)
      if (typeof other === 'string') chains.add(other)
    }
    if (cert.length === 1) chains.add(cert[0]!)
    return chains
  }
}

async function askResponder(asker: HttpAsker, url: string, body: Buffer): Promise<Buffer> {
  const headers = { 'content-type': 'application/ocsp-request', accept: 'application/ocsp-response' }
  const answer = await asker.ask(new URL(url), { method: 'POST', headers, body })
  if ('problem' in answer) throw new Error(answer.problem)
  if (answer.status !== 200) throw new Error(`${url}: status ${answer.status}`)
  return answer.bytes
}
