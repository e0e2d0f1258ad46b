/** FNV-1a of a text's UTF-16 code units, 32 bits, as a signed number. `from`: what came before the text. */
export function fnv1a(text: string, from = 0x811c9dc5): number {
  let hash = from
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
