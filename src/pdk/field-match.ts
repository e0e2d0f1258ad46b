/** A header or a cookie that a request has to have, with one of some values or with any. */
import type { HeaderList } from '#http/header-list.ts'
import { cookieValues } from './cookies.ts'
import { FieldName } from './field-name.ts'

export class FieldMatch {
  readonly #valuesIn: (headers: HeaderList) => readonly string[]
  readonly #values: ReadonlySet<string> | null

  private constructor(valuesIn: (headers: HeaderList) => readonly string[], values: readonly string[] | null) {
    this.#valuesIn = valuesIn
    this.#values = values === null ? null : new Set(values)
  }

  /** `values` null: any will do. */
  static header(name: string, values: readonly string[] | null): FieldMatch {
    const field = new FieldName(name)
    return new FieldMatch((headers) => field.getAll(headers), values)
  }

  static cookie(name: string, values: readonly string[] | null): FieldMatch {
    return new FieldMatch((headers) => cookieValues(headers, name), values)
  }

  isIn(headers: HeaderList): boolean {
    const values = this.#values
    return this.#valuesIn(headers).some((value) => values === null || values.has(value))
  }
}
