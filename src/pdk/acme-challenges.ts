/** What proves to an ACME server that a name is this gateway's: how the main thread leaves it for the workers of all nodes. */

/** The challenges that can be met; a configuration of `acme` chooses one. */
export const CHALLENGE_TYPES = ['http-01', 'tls-alpn-01'] as const
export type ChallengeType = (typeof CHALLENGE_TYPES)[number]

/** Short-lived values of the plugin `acme`, in a space for each type of challenge: by token, and by server name. */
export const ACME_PLUGIN = 'acme'
/** The text to be answered to who asks for the token (RFC 8555 8.3). */
export type HttpChallenge = string
/** The certificate to be shown to who asks for the name (RFC 8737 3); PEM. */
export interface TlsAlpnChallenge {
  readonly cert: string
  readonly key: string
}

export const HTTP_CHALLENGE_PATH = '/.well-known/acme-challenge/'
/** The protocol that ACME servers ask for in the TLS handshake (RFC 8737 6.2). */
export const ACME_TLS_PROTOCOL = 'acme-tls/1'
/** RFC 8555 8.1: base64url, of at least 128 bits. The bound is ours. */
export const CHALLENGE_TOKEN = /^[A-Za-z0-9_-]{1,512}$/
