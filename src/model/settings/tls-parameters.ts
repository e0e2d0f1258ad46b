/** What `node:tls` is told for the TLS settings: Mozilla's server side TLS 5.7, without TLS 1.0 and 1.1 (RFC 8996). */
import type { Settings } from '../settings.ts'

export interface TlsParameters {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly ciphers: string
  readonly honorCipherOrder: boolean
  /** Lifetime of tickets and sessions. */
  readonly sessionTimeoutSeconds: number
  readonly hasTickets: boolean
}

const TLS13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
const AEAD = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
]
const CHACHA = ['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305']
const DHE = ['DHE-RSA-AES128-GCM-SHA256', 'DHE-RSA-AES256-GCM-SHA384']
const DHE_CHACHA = ['DHE-RSA-CHACHA20-POLY1305']
const CBC = [
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA384',
  'ECDHE-RSA-AES256-SHA384',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'DHE-RSA-AES128-SHA256',
  'DHE-RSA-AES256-SHA256',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA256',
  'AES256-SHA256',
  'AES128-SHA',
  'AES256-SHA',
]

const SUITES: Readonly<Record<Exclude<Settings['ssl_cipher_suite'], 'custom'>, readonly string[]>> = {
  modern: TLS13,
  intermediate: [...TLS13, ...AEAD, ...CHACHA, ...DHE, ...DHE_CHACHA],
  old: [...TLS13, ...AEAD, ...CHACHA, ...DHE, ...DHE_CHACHA, ...CBC],
  // ChaCha20 is not approved by FIPS 140.
  fips: [...TLS13.slice(0, 2), ...AEAD, ...DHE],
}

export type TlsSettings = Pick<
  Settings,
  | 'ssl_cipher_suite'
  | 'ssl_ciphers'
  | 'ssl_protocols'
  | 'ssl_prefer_server_ciphers'
  | 'ssl_session_tickets'
  | 'ssl_session_timeout'
>

export function tlsParameters(settings: TlsSettings): TlsParameters {
  const { ssl_cipher_suite: suite, ssl_protocols: versions } = settings
  const isModern = suite === 'modern'
  return {
    minVersion: isModern || !versions.includes('TLSv1.2') ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: isModern || versions.includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2',
    ciphers: (suite === 'custom' ? [...TLS13, settings.ssl_ciphers ?? ''] : SUITES[suite]).join(':'),
    honorCipherOrder: settings.ssl_prefer_server_ciphers,
    sessionTimeoutSeconds: Math.round(settings.ssl_session_timeout / 1000),
    hasTickets: settings.ssl_session_tickets,
  }
}
