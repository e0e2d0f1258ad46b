import type { Kind } from './kind.ts'

/** A setting, written once: parser, sample file, reference page and the Admin API's `configuration` follow from it. */
export interface Setting<T = unknown, D extends string | null = string | null> {
  readonly kind: Kind<T>
  /** In the form of the file; null leaves it unset, and the value is then null. */
  readonly default: D
  readonly description: string
  /** Whether SIGHUP applies a new value; the others wait for the next start. */
  readonly reloadable: boolean
  /** Never shown: not in messages, not by the Admin API. */
  readonly secret: boolean
  /** Other names, as Kong and nginx have them; the own name wins where both are given. */
  readonly aliases: readonly string[]
}

export interface SettingOptions<D extends string | null> {
  readonly default: D
  readonly reloadable?: boolean
  readonly secret?: boolean
  readonly aliases?: readonly string[]
}

export function setting<T, const D extends string | null>(
  kind: Kind<T>,
  description: string,
  options: SettingOptions<D>,
): Setting<T, D> {
  const { reloadable = false, secret = false, aliases = [] } = options
  return { kind, default: options.default, description, reloadable, secret, aliases }
}

export type SettingTable = Readonly<Record<string, Setting>>

/** The values that a table of settings describes. */
export type ValuesOf<Table extends SettingTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer T, infer D> ? (D extends null ? T | null : T) : never
}
