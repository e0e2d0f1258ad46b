/** What a reload of the settings changes, and what of it waits for the next start. */
import { settings as definitions, type SettingKey } from '../settings.ts'
import type { ReadSettings } from './read.ts'

export interface SettingChanges {
  /** Applied by a reload. */
  readonly applied: readonly SettingKey[]
  /** Only by the next start. */
  readonly waiting: readonly SettingKey[]
}

export function changedSettings(before: ReadSettings['texts'], after: ReadSettings['texts']): SettingChanges {
  const applied: SettingKey[] = []
  const waiting: SettingKey[] = []
  for (const [key, { reloadable }] of definitions) {
    if (before.get(key) === after.get(key)) continue
    ;(reloadable ? applied : waiting).push(key as SettingKey)
  }
  return { applied, waiting }
}
