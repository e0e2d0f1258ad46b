/** ISO/IEC 7812-1, annex B: whether the digits of a card number add up. `digits` holds nothing but 0-9. */
export function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let i = digits.length - 1, isSecond = false; i >= 0; i--, isSecond = !isSecond) {
    let digit = digits.charCodeAt(i) - 48
    if (isSecond) {
      digit *= 2
      if (digit > 9) digit -= 9
    }
    sum += digit
  }
  return sum % 10 === 0
}
