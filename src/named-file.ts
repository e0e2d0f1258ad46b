import { readFileSync } from 'node:fs'
import { GatewayError } from '#core/errors.ts'

/** The text of a file that a setting names. Throws SETTINGS_INVALID, which says which setting it was. */
export function readNamedFile(key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new GatewayError('SETTINGS_INVALID', `${key}: expected a file that can be read, got ${file} (${code})`, {
      cause,
    })
  }
}
