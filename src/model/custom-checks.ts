/** The checks of definitions that only code can say, by the `name` of the check. Each returns what is wrong, or null. */
import type { KeyObject } from 'node:crypto'
import { isRecord, valueAt, type Values } from './record.ts'
import { attempt, isJwk, loadCertificate, loadPrivateKey } from './validators-crypto.ts'
import { isVaultReference } from './vault-reference.ts'

export type CustomCheck = (values: Readonly<Values>, nowMs: number) => string | null

export const customChecks: Readonly<Record<string, CustomCheck>> = {
  certificate_matches_key: ({ cert, key }) => (pairMatches(cert, key) ? null : 'certificate does not match key'),
  alternative_certificate_matches_key: ({ cert_alt: cert, key_alt: key }) =>
    pairMatches(cert, key) ? null : 'alternative certificate does not match key',
  certificates_differ_in_type({ cert, cert_alt: other }) {
    if (typeof cert !== 'string' || typeof other !== 'string') return null
    if (loadCertificate(cert).publicKey.asymmetricKeyType !== loadCertificate(other).publicKey.asymmetricKeyType)
      return null
    return 'certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), the provided certificates were both of the same type'
  },
  ca_certificate({ cert }, nowMs) {
    if (typeof cert !== 'string') return null
    if (cert.split('-----BEGIN CERTIFICATE-----').length > 2) return 'please submit only one certificate at a time'
    const certificate = loadCertificate(cert)
    if (certificate.validToDate.getTime() < nowMs) return 'certificate expired, "Not After" time is in the past'
    return certificate.ca
      ? null
      : 'certificate does not appear to be a CA because it is missing the "CA" basic constraint'
  },
  key_material: ({ jwk, pem, kid }) => wrongKey(jwk, pem, kid),
  // Deprecated, not refused.
  route_path_handling: () => null,
  // Kong compiles an expression from the route's fields here; the router does it from the same fields when it is built.
  route_expression: () => null,
  wasm_filters: () => 'wasm support is not enabled',
  plain_http_proxy: (values) => {
    const url = valueAt(values, 'config.proxy_url')
    return typeof url !== 'string' || /^http:/i.test(url) ? null : 'proxy_url scheme must be http'
  },
  // The memory cache of this gateway needs no declared zone.
  shared_dictionary: () => null,
  acme_storage: () => null,
  llm_statistics({ route_type: routeType, model, logging }) {
    const provider = valueAt(model, 'provider')
    if (valueAt(logging, 'log_statistics') !== true || routeType !== 'llm/v1/completions' || provider !== 'anthropic')
      return null
    return `${provider} does not support statistics when route_type is ${routeType}`
  },
}

function pairMatches(cert: unknown, key: unknown): boolean {
  if (typeof cert !== 'string' || typeof key !== 'string') return true
  if (isVaultReference(cert) || isVaultReference(key)) return true
  const privateKey: KeyObject = loadPrivateKey(key)
  return loadCertificate(cert).checkPrivateKey(privateKey)
}

function wrongKey(jwk: unknown, pem: unknown, kid: unknown): string | null {
  if (typeof jwk === 'string' && !isVaultReference(jwk)) {
    const parsed = attempt(() => JSON.parse(jwk) as unknown)
    if (!isRecord(parsed)) return 'could not json decode jwk string'
    if (parsed['kid'] !== kid) return 'kid in jwk.kid must be equal to keys.kid'
    if (!isJwk(parsed)) return 'could not load JWK, likely not a valid key'
  }
  if (!isRecord(pem)) return null
  const hasPart = ['private_key', 'public_key'].some((part) => typeof pem[part] === 'string')
  return hasPart ? null : 'need to supply a PEM formatted public and/or private key.'
}
