/**
 * Texts as they travel: on the wire each character of a string is one byte (latin1), in configuration and entities strings are
 * Unicode. What is compared or written across has to be translated; pure ASCII stays the same string.
 */

/** The UTF-8 bytes of a text, one character per byte. */
export function toWire(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The text whose UTF-8 bytes these are; bytes that are not UTF-8 become U+FFFD. */
export function fromWire(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

/** A text as a header value. */
export function headerValue(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 32 || code > 126) return safeHeaderValue(Buffer.from(text, 'utf8').toString('latin1'))
  }
  return text
}

/** Escapes what would end a header line (RFC 9110 5.5), so that a value made from a request can't add fields. */
export function safeHeaderValue(bytes: string): string {
  return UNSAFE.test(bytes) ? bytes.replace(UNSAFE_ALL, percent) : bytes
}

/** Escapes what may not stand in a request target (RFC 3986 3.3, 3.4): controls, space, '#', quotes, braces, all beyond ASCII. */
export function safePath(bytes: string): string {
  return bytes.replace(/[^!$&'()*+,/:;=?@[\]A-Za-z0-9\-._~%]/g, percent)
}

const UNSAFE = /[\0-\x08\x0a-\x1f\x7f]/
const UNSAFE_ALL = /[\0-\x08\x0a-\x1f\x7f]/g

function percent(character: string): string {
  return '%' + character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}
