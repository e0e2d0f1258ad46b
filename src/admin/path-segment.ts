/** Percent-decoding of path segments, strict: what is not UTF-8 can be no name, and is told with its position. */
export type Segments =
  | { readonly ok: true; readonly values: Readonly<Record<string, string>> }
  /** `position`: of the first byte that is wrong, from 1, in the decoded bytes. */
  | { readonly ok: false; readonly parameter: string; readonly position: number }

/** Decodes each raw segment. A percent sign that starts no byte stands for itself, as in Kong. */
export function decodeSegments(raw: Readonly<Record<string, string>>): Segments {
  const values: Record<string, string> = {}
  for (const [parameter, text] of Object.entries(raw)) {
    const bytes = percentDecode(text)
    const decoded = bytes.toString('utf8')
    // NUL ends strings in too many programs to be let into a name.
    const nul = bytes.indexOf(0)
    if (nul >= 0) return { ok: false, parameter, position: nul + 1 }
    const wrong = firstDifference(bytes, Buffer.from(decoded, 'utf8'))
    if (wrong !== null) return { ok: false, parameter, position: wrong + 1 }
    values[parameter] = decoded
  }
  return { ok: true, values }
}

function percentDecode(text: string): Buffer {
  // node:http gives the request target as Latin-1: one character for each byte.
  if (!text.includes('%')) return Buffer.from(text, 'latin1')
  return Buffer.from(
    text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
}

// Decoding replaces what is no UTF-8 by U+FFFD, so encoding it again differs from there on.
function firstDifference(a: Buffer, b: Buffer): number | null {
  if (a.equals(b)) return null
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i
  return a.length
}
