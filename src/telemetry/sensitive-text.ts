/** Finds what must not leave in texts of any kind: card and account numbers that add up, e-mail addresses, tokens, an operator's own patterns. */
import { compileSafeRegex } from '#core/pcre.ts'
import { passesLuhn } from './luhn.ts'

export const sensitivePatterns = ['card', 'iban', 'email', 'jwt'] as const
export type SensitivePattern = (typeof sensitivePatterns)[number]

export const REDACTED = 'REDACTED'

/** Replaces what it finds; the same text when there is nothing. */
export type Redact = (text: string) => string

/** Longer texts are looked at up to here and cut: searching must not take longer than proxying. */
export const LONGEST_TEXT = 32_768

/** Null when there is nothing to look for. `own` is an operator's pattern, which was checked when it was read. */
export function compileRedaction(names: readonly SensitivePattern[], own: string | null): Redact | null {
  const steps = names.map((name) => BY_NAME[name])
  if (own !== null) steps.push(ownPattern(own))
  if (steps.length === 0) return null
  return (text) => {
    let redacted = text.length > LONGEST_TEXT ? text.slice(0, LONGEST_TEXT) : text
    for (const step of steps) redacted = step(redacted)
    return redacted
  }
}

/** Digits with single blanks or dashes between them: whole runs, so that no part of a longer number is taken for one. */
const DIGITS = /\d(?:[ -]?\d){11,}/g
/** ISO 13616: country, check digits, up to 30 letters and digits, in groups of four or none. */
const IBAN = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])/g
const EMAIL = /[A-Za-z0-9.!#$&'*+/=?^_`{|}~-]{1,64}(?:@|%40)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}/g
/** A JSON Web Token (RFC 7519) begins with `{"` in base64url. */
const JWT = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g

const BY_NAME: Readonly<Record<SensitivePattern, Redact>> = {
  card: (text) => text.replace(DIGITS, (found) => (isCard(found) ? REDACTED : found)),
  iban: (text) => text.replace(IBAN, (found) => (passesMod97(found) ? REDACTED : found)),
  email: (text) => text.replace(EMAIL, REDACTED),
  jwt: (text) => text.replace(JWT, REDACTED),
}

/** 12 to 19 digits (ISO/IEC 7812-1). In groups as cards have them, 4-4-4-4 or 4-6-5, so that no UUID of digits is one. */
function isCard(found: string): boolean {
  const groups = found.split(/[ -]/)
  const digits = groups.join('')
  if (digits.length > 19) return false
  if (groups.length > 1 && (digits.length < 13 || groups[0]!.length !== 4 || groups.some(({ length }) => length > 6)))
    return false
  // Nothing but zeros adds up, too, and is nobody's number.
  return passesLuhn(digits) && /[1-9]/.test(digits)
}

/** ISO/IEC 7064, MOD 97-10: letters count from 10, the first four characters stand last. */
function passesMod97(found: string): boolean {
  const text = found.replaceAll(' ', '')
  let rest = 0
  for (const character of text.slice(4) + text.slice(0, 4))
    for (const digit of Number.parseInt(character, 36).toString()) rest = (rest * 10 + Number(digit)) % 97
  return rest === 1
}

function ownPattern(source: string): Redact {
  const compiled = compileSafeRegex(source)
  if (!compiled.ok) throw new Error(`expected a pattern that was checked, got one that is refused: ${compiled.reason}`)
  const { regex } = compiled
  return (text) => {
    let redacted = ''
    let rest = text
    for (let match = regex.exec(rest); match !== null && match.text !== ''; match = regex.exec(rest)) {
      const at = rest.indexOf(match.text)
      redacted += rest.slice(0, at) + REDACTED
      rest = rest.slice(at + match.text.length)
    }
    return redacted + rest
  }
}
