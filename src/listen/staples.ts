/**
 * Answers of OCSP that go out with the gateway's own certificates (RFC 6066 8, RFC 6961 is obsolete). The main thread has them
 * brought; here they only lie ready, so that no handshake waits for anybody.
 */
import { hash, X509Certificate } from 'node:crypto'
import type { Server } from 'node:tls'
import { hasSigned } from '#core/pki.ts'

export interface Staple {
  /** `certificateKey` of the certificate that it is for. */
  readonly key: string
  /** DER. Null: there is none any more. */
  readonly answer: Uint8Array | null
  /** When clients no longer take it (Unix time, ms). */
  readonly untilMs: number
}

export class Staples {
  readonly #byKey = new Map<string, Staple>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  take(staples: readonly Staple[]): void {
    for (const staple of staples) {
      if (staple.answer === null) this.#byKey.delete(staple.key)
      else this.#byKey.set(staple.key, staple)
    }
  }

  /** For a certificate in DER; null without one that is in force: a client that gets an old one may turn away. */
  find(certificate: Buffer): Buffer | null {
    if (this.#byKey.size === 0) return null
    const staple = this.#byKey.get(certificateKey(certificate))
    if (staple === undefined || staple.answer === null || this.#nowMs() >= staple.untilMs) return null
    return Buffer.from(staple.answer.buffer, staple.answer.byteOffset, staple.answer.byteLength)
  }

  /** Answers clients of this server that ask for the state of its certificate. */
  serve(server: Server): void {
    server.on('OCSPRequest', (certificate: Buffer | null, _issuer: Buffer, done: (e: null, a: Buffer | null) => void) =>
      done(null, certificate === null ? null : this.find(certificate)),
    )
  }
}

export function certificateKey(der: Buffer): string {
  return hash('sha256', der, 'base64url')
}

export interface Chain {
  readonly leaf: X509Certificate
  /** Null where the text has none that signed it. */
  readonly issuer: X509Certificate | null
}

const PEM = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g

/** The first certificate of a text in PEM, and who issued it. Null for what can't be parsed. */
export function readChain(pem: string): Chain | null {
  try {
    const [leaf, ...others] = (pem.match(PEM) ?? []).map((one) => new X509Certificate(one))
    if (leaf === undefined) return null
    return { leaf, issuer: others.find((one) => hasSigned(one, leaf)) ?? null }
  } catch {
    // Whoever serves it says what is wrong with it; without it there is nothing to staple.
    return null
  }
}
