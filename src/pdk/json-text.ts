/** Bodies in JSON, read so that the upstream can't read them in another way (RFC 8259 4, 8.1; RFC 7493 2.3). */

/** Deeper values are refused: schemas that point to themselves are followed as deep as the value is. */
const DEPTH_MAX = 100

export type JsonText = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string }

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Null for what is no text in UTF-8. */
export function utf8Text(bytes: Buffer): string | null {
  try {
    return UTF8.decode(bytes)
  } catch {
    // Any body may come; that it is none of text is all there is to say.
    return null
  }
}

export function parseJsonText(bytes: Buffer): JsonText {
  const text = utf8Text(bytes)
  if (text === null) return { ok: false, reason: 'is not in UTF-8' }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message quotes the body, which is not for answers.
    return { ok: false, reason: 'is not JSON' }
  }
  const reason = ambiguity(text)
  return reason === null ? { ok: true, value } : { ok: false, reason }
}

/** What makes a valid text ambiguous, or too deep. */
function ambiguity(text: string): string | null {
  /** The names so far of each open object, null for an array. */
  const open: (Set<string> | null)[] = []
  let expectsName = false
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b:
        open.push(new Set())
        expectsName = true
        break
      case 0x5b:
        open.push(null)
        expectsName = false
        break
      case 0x7d:
      case 0x5d:
        open.pop()
        expectsName = false
        break
      case 0x2c:
        expectsName = open.at(-1) !== null
        break
      case 0x22: {
        const end = endOfString(text, i)
        if (expectsName) {
          const names = open.at(-1)!
          const name = nameOf(text.slice(i, end + 1))
          if (names.has(name)) return 'has a member twice'
          names.add(name)
          expectsName = false
        }
        i = end
        break
      }
    }
    if (open.length > DEPTH_MAX) return `is nested more than ${DEPTH_MAX} deep`
  }
  return null
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; ; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x5c) i++
    else if (code === 0x22) return i
  }
}

function nameOf(quoted: string): string {
  return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1)
}
