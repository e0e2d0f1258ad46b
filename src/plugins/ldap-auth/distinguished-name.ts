/** The value of an attribute in a distinguished name (RFC 4514 2.4): whatever a client calls itself stays one value. */
export function escapeValue(value: string): string {
  let escaped = ''
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!
    const isFirst = at === 0
    const isLast = at === value.length - 1
    if (/[\0-\x1f\x7f]/.test(character)) escaped += '\\' + character.charCodeAt(0).toString(16).padStart(2, '0')
    else if (/["+,;<=>\\]/.test(character)) escaped += `\\${character}`
    else if ((character === ' ' && (isFirst || isLast)) || (character === '#' && isFirst)) escaped += `\\${character}`
    else escaped += character
  }
  return escaped
}
