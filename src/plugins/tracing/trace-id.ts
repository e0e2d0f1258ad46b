/** Ids of traces and spans: hexadecimal texts in lower case, 16 digits for 64 bits and 32 for 128. */
import { randomFillSync } from 'node:crypto'

/** Random bytes are taken from the system in so large pieces: a call for each id costs more than the id. */
const POOL_BYTES = 4096
const pool = Buffer.alloc(POOL_BYTES)
let poolAt = POOL_BYTES

/** So many random bytes, never all zero: such an id is none in every format. */
export function randomId(bytes: 8 | 16): string {
  if (poolAt + bytes > POOL_BYTES) {
    randomFillSync(pool)
    poolAt = 0
  }
  const id = pool.toString('hex', poolAt, poolAt + bytes)
  poolAt += bytes
  return isZero(id) ? randomId(bytes) : id
}

/** The same id with so many digits: zeros come in front, or what is in front goes, as Kong 3.9 has it. */
export function sizedId(id: string, digits: 16 | 32): string {
  return id.length === digits ? id : id.length > digits ? id.slice(-digits) : id.padStart(digits, '0')
}

export function isZero(id: string): boolean {
  for (let i = 0; i < id.length; i++) if (id.charCodeAt(i) !== 48) return false
  return true
}

/** Decimal digits of 128 bits at most; longer numbers are no ids. */
const LONGEST_DECIMAL = 39

/** The id that a decimal number is; null where it is 0 or too long for one. */
export function idOfDecimal(decimal: string, mostDigits: 16 | 32): string | null {
  if (decimal.length > LONGEST_DECIMAL) return null
  const id = BigInt(decimal).toString(16)
  if (isZero(id)) return null
  const sized = sizedId(id, id.length > 16 && mostDigits === 32 ? 32 : 16)
  return isZero(sized) ? null : sized
}

/** The decimal number of 64 bits that an id ends with. */
export function decimalOfId(id: string): string {
  return BigInt(`0x${sizedId(id, 16)}`).toString()
}
