/** Values that are not stored as they were given: hashed passwords, digests. Named in the `transformations` of a definition. */
import { createHash, pbkdf2Sync } from 'node:crypto'
import { saltedDigest } from '#core/salted-digest.ts'
import { mutuallyRequired } from './checks.ts'
import { isNonEmpty, valueAt, type Values } from './record.ts'
import { loadCertificate } from './validators-crypto.ts'

export interface Transformation {
  /** The transformation is made when all of these are given. */
  readonly input: readonly string[]
  /** What it needs besides; when one of these changes, `input` must be given again. */
  readonly needs?: readonly string[]
  /** Made again on what was transformed before, it makes the same. */
  readonly isRepeatable?: boolean
  /** Name in `TRANSFORMS`. */
  readonly apply: string
}

export interface TransformSubject {
  /** The complete document. */
  readonly values: Readonly<Values>
  /** What the client gave. */
  readonly given: Readonly<Values>
  /** The stored document that is updated, if any. */
  readonly current: Readonly<Values> | null
}

/** What is wrong with the fields of the transformations, as entity errors. */
export function checkTransformations(
  transformations: readonly Transformation[],
  { values, given, current }: TransformSubject,
): string[] {
  const messages: string[] = []
  for (const { input, needs = [] } of transformations) {
    const isGiven = input.some((path) => isNonEmpty(valueAt(given, path)))
    const needsChanged = current !== null && needs.some((path) => valueAt(given, path) !== valueAt(current, path))
    if (!isGiven && !needsChanged) continue
    const failure =
      mutuallyRequired([...input, ...needs], needsChanged ? given : values) ?? mutuallyRequired(input, given)
    if (failure !== null) messages.push(failure.message)
  }
  return messages
}

/** The document with its transformations made; the same object when there are none to make. */
export function transform(transformations: readonly Transformation[], subject: TransformSubject): Readonly<Values> {
  let values = subject.values
  for (const { input, needs = [], apply } of transformations) {
    if (!input.every((path) => isNonEmpty(valueAt(subject.given, path)))) continue
    const args = [...input, ...needs].map((path) => valueAt(values, path))
    if (args.every(isNonEmpty)) values = { ...values, ...TRANSFORMS[apply]!(args, values) }
  }
  return values
}

type Transform = (args: any[], values: Readonly<Values>) => Values

const TRANSFORMS: Readonly<Record<string, Transform>> = {
  // Kong's format of stored passwords, which clients copy between gateways; fixed by compatibility.
  basic_auth_password: ([password, consumerId]: string[]) => ({ password: saltedDigest(password!, consumerId!) }),
  // The salt is the credential's own id: no two share one, and the same file makes the same hash.
  client_secret: ([isHashed, secret], { id }) =>
    isHashed === true ? { client_secret: secretHash(secret, id as string) } : {},
  certificate_digest: ([cert]: string[]) => ({
    cert_digest: createHash('sha256').update(loadCertificate(cert!).raw).digest('hex'),
  }),
}

const ITERATIONS = 10_000
const LENGTH = 32

/** `$pbkdf2-sha512$i=10000,l=32$salt$hash`, both in Base64 without padding. */
function secretHash(secret: string, salt: string): string {
  const hash = pbkdf2Sync(secret, salt, ITERATIONS, LENGTH, 'sha512')
  const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
  return `$pbkdf2-sha512$i=${ITERATIONS},l=${LENGTH}$${base64(Buffer.from(salt))}$${base64(hash)}`
}
