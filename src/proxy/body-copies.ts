/** Copies of a request's body for those who look on while it passes: they hold nobody up. */
type Done = (result: Buffer | { readonly error: 'too_large' | 'aborted' }) => void

interface Copy {
  readonly limitBytes: number
  readonly done: Done
  readonly parts: Buffer[]
  bytes: number
}

export class BodyCopies {
  #open: Copy[] = []

  /** `before` is what came already. */
  begin(limitBytes: number, before: Buffer, done: Done): void {
    const copy: Copy = { limitBytes, done, parts: [], bytes: 0 }
    this.#open.push(copy)
    if (before.length > 0) this.#add(copy, Buffer.from(before))
  }

  /** The bytes are copied. */
  add(bytes: Buffer): void {
    if (this.#open.length === 0) return
    const own = Buffer.from(bytes)
    for (const copy of this.#open) this.#add(copy, own)
  }

  end(): void {
    for (const { done, parts } of this.#take()) done(parts.length === 1 ? parts[0]! : Buffer.concat(parts))
  }

  abort(): void {
    for (const { done } of this.#take()) done({ error: 'aborted' })
  }

  #add(copy: Copy, bytes: Buffer): void {
    copy.bytes += bytes.length
    if (copy.bytes <= copy.limitBytes) return void copy.parts.push(bytes)
    this.#open = this.#open.filter((one) => one !== copy)
    copy.done({ error: 'too_large' })
  }

  #take(): readonly Copy[] {
    const open = this.#open
    this.#open = []
    return open
  }
}
