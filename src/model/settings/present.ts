/** The settings as the Admin API shows them under `configuration`: Kong's names and types, secrets masked. */
import { settings as definitions } from '../settings.ts'
import { isVaultReference } from '../vault-reference.ts'
import { splitList } from './kind.ts'
import type { ReadSettings } from './read.ts'

/** Kong's mask. */
const MASK = '******'

export function presentSettings(texts: ReadSettings['texts']): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [key, { kind, secret }] of definitions) {
    const text = texts.get(key) ?? null
    if (text === null) continue
    // As in Kong: what it leads to stays hidden.
    const isReference: boolean = isVaultReference(text)
    if (secret) shown[key] = text === '' ? [] : MASK
    else if (isReference) shown[key] = text
    else if (kind.shape === 'boolean') shown[key] = text.toLowerCase() === 'on' || text.toLowerCase() === 'true'
    else if (kind.shape === 'array') shown[key] = text === 'off' ? ['off'] : splitList(text)
    // A time with a unit stays a text.
    else if (kind.shape === 'number' && /^\d+(\.\d+)?$/.test(text)) shown[key] = Number(text)
    else shown[key] = text
  }
  return shown
}
