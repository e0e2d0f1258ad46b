/**
 * Commands that wait for an answer, in the order in which they were sent. What is done is taken out at once and keeps hold of no other:
 * all that a request has made hangs on its command, and with a list that forgets late, or leads from one to the next, it would grow old
 * for the collector, which then has the whole heap to look through once a second.
 */
export class WaitingCommands<Owner> {
  #first: WaitingCommand<Owner> | null = null
  #last: WaitingCommand<Owner> | null = null
  /** The first of those that were run and may not have been sent yet; all after it are of them. */
  #held: WaitingCommand<Owner> | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The one that was sent first. */
  get oldest(): WaitingCommand<Owner> | null {
    return this.#first
  }

  /** To be called in the order of `sentAtMs`. */
  add(owner: Owner, sentAtMs: number, resolve: (answer: unknown) => void): WaitingCommand<Owner> {
    const command = { owner, sentAtMs, resolve, previous: this.#last, next: null, isWaiting: true }
    if (this.#last === null) this.#first = command
    else this.#last.next = command
    this.#last = command
    this.#size++
    return command
  }

  /** The newest was run, and is sent when `sent` says so. */
  hold(command: WaitingCommand<Owner>): void {
    this.#held ??= command
  }

  /** Those that were held until now are sent now. */
  sent(atMs: number): void {
    for (let command = this.#held; command !== null; command = command.next) command.sentAtMs = atMs
    this.#held = null
  }

  /** Takes it out and gives it its answer; nothing when that was done before. */
  settle(command: WaitingCommand<Owner>, answer: unknown): void {
    if (!command.isWaiting) return
    const { previous, next, resolve } = command
    if (this.#held === command) this.#held = next
    if (previous === null) this.#first = next
    else previous.next = next
    if (next === null) this.#last = previous
    else next.previous = previous
    command.isWaiting = false
    command.previous = null
    command.next = null
    this.#size--
    resolve(answer)
  }

  /** Those that wait now, or only those of `owner`. */
  list(owner: Owner | null): WaitingCommand<Owner>[] {
    const list: WaitingCommand<Owner>[] = []
    for (let command = this.#first; command !== null; command = command.next)
      if (owner === null || command.owner === owner) list.push(command)
    return list
  }
}

/** What `add` gives to `settle`; written by the list alone. */
export interface WaitingCommand<Owner> {
  readonly owner: Owner
  sentAtMs: number
  readonly resolve: (answer: unknown) => void
  isWaiting: boolean
  previous: WaitingCommand<Owner> | null
  next: WaitingCommand<Owner> | null
}
