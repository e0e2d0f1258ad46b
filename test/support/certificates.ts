/** Certificates for tests, made on the spot. */
import { isIP } from 'node:net'
import { generate } from 'selfsigned'

export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

const DAY_MS = 86_400_000

/** A certificate for these names (the first is the subject), signed by `issuer` or by itself; `isAuthority` may sign others. */
export async function makeCertificate(
  names: readonly string[],
  options: { readonly issuer?: TestCertificate; readonly isAuthority?: boolean } = {},
): Promise<TestCertificate> {
  const { issuer, isAuthority = false } = options
  const made = await generate([{ name: 'commonName', value: names[0]! }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - DAY_MS),
    notAfterDate: new Date(Date.now() + DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: isAuthority, critical: true },
      isAuthority
        ? { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true }
        : { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: names.map(alternativeName) },
    ],
    ...(issuer === undefined ? {} : { ca: { cert: issuer.cert, key: issuer.key } }),
  })
  return { cert: made.cert, key: made.private }
}

function alternativeName(name: string) {
  return isIP(name) === 0 ? { type: 2 as const, value: name } : { type: 7 as const, ip: name }
}
