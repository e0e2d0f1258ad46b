/** The named validators of definitions: each returns what is wrong, or null. */
import { cryptoValidators } from './validators-crypto.ts'
import { hostValidators } from './validators-host.ts'
import { pluginValidators } from './validators-plugin.ts'
import { textValidators } from './validators-text.ts'
import type { Field } from './field.ts'

export type Validator = (value: any, field: Field) => string | null

export const validators: Readonly<Record<string, Validator>> = {
  ...hostValidators,
  ...textValidators,
  ...cryptoValidators,
  ...pluginValidators,
}
