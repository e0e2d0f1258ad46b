/** What the plugin `acme` needs of a worker besides requests: the challenges in TLS handshakes, and word of names without a certificate. */
import { LRUCache } from 'lru-cache'
import type { CertificateTable } from '#listen/certificates.ts'
import type { ChallengeHandshakes, ChallengeSource } from '#listen/challenge-handshakes.ts'
import type { Document } from '#model/document.ts'
import { ACME_PLUGIN, ACME_TLS_PROTOCOL, type TlsAlpnChallenge } from '#pdk/acme-challenges.ts'
import type { ServerCertificates } from '#pdk/pdk.ts'
import type { SnapshotUpdate } from '#snapshot/update.ts'
import type { FromWorker } from './worker-protocol.ts'
import type { WorkerRuntime } from './worker-runtime.ts'

/** Word of a name is given once in this time: getting a certificate takes seconds, and what fails rests for minutes. */
const WANTED_MS = 30_000
const WANTED_MAX = 1000

export class WorkerAcme {
  /** For plugins. */
  readonly certificates: ServerCertificates
  readonly #told = new LRUCache<string, true>({ max: WANTED_MAX, ttl: WANTED_MS })
  readonly #source: ChallengeSource
  #table: CertificateTable | null = null
  #handshakes: ChallengeHandshakes | null = null

  constructor(say: (message: FromWorker) => void, runtime: WorkerRuntime) {
    const values = runtime.of(ACME_PLUGIN)
    this.#source = {
      protocol: ACME_TLS_PROTOCOL,
      find: async (name) => ((await values.get('tls-alpn-01', name)) as TlsAlpnChallenge | undefined) ?? null,
    }
    this.certificates = {
      has: (name) => this.#table?.has(name) === true,
      want: (name) => {
        if (this.#told.has(name)) return
        this.#told.set(name, true)
        say({ type: 'certificate-wanted', name })
      },
    }
  }

  /** To be called before the first change. */
  serve(table: CertificateTable, handshakes: ChallengeHandshakes): void {
    this.#table = table
    this.#handshakes = handshakes
  }

  /** To be called after each change: looks for `tls-alpn-01` challenges while there is a configuration that asks for certificates by them. */
  update(update: SnapshotUpdate, documents: (kind: string) => Iterable<Document>): void {
    if (!update.isWhole && !update.changes.some(({ kind }) => kind === 'plugins')) return
    this.#handshakes!.source = [...documents('plugins')].some(asksByTls) ? this.#source : null
  }
}

function asksByTls({ name, enabled, config }: Document): boolean {
  return (
    name === ACME_PLUGIN &&
    enabled !== false &&
    (config as { readonly challenge?: unknown }).challenge === 'tls-alpn-01'
  )
}
