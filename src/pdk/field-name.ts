import { identifyHeader } from '#http/known-headers.ts'
import type { HeaderList } from '#http/header-list.ts'

/** A header name that a plugin uses for every request: recognised once, when it is prepared, so that using it compares no text. */
export class FieldName {
  readonly name: string
  /** 0 when the gateway does not know it: then it is compared as text. */
  readonly #id: number

  constructor(name: string) {
    this.name = name
    this.#id = identifyHeader(name, 0, name.length)
  }

  has(headers: HeaderList): boolean {
    return this.#id > 0 ? headers.hasKnown(this.#id) : headers.has(this.name)
  }

  get(headers: HeaderList): string | null {
    return this.#id > 0 ? headers.getKnown(this.#id) : headers.get(this.name)
  }

  getAll(headers: HeaderList): string[] {
    return this.#id > 0 ? headers.getAllKnown(this.#id) : headers.getAll(this.name)
  }

  set(headers: HeaderList, value: string): void {
    if (this.#id > 0) headers.setKnown(this.#id, this.name, value)
    else headers.set(this.name, value)
  }

  append(headers: HeaderList, value: string): void {
    headers.appendKnown(this.#id, this.name, value)
  }

  remove(headers: HeaderList): void {
    if (this.#id > 0) headers.removeKnown(this.#id)
    else headers.remove(this.name)
  }
}
