/** Methods of every Node Buffer since 1.0 that its type declarations leave out: `toString('latin1')` and `write(..., 'latin1')` without the detour. */
interface Buffer {
  latin1Slice(start?: number, end?: number): string
  latin1Write(text: string, offset?: number, length?: number): number
}
