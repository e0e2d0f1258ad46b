/** Where the keyring comes from: a file, made at the first start of the embedded store, or an environment variable. */
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { GatewayError } from '#core/errors.ts'
import { newKeyringText, parseKeyring, type Keyring } from './keyring.ts'

export interface KeyringFileOptions {
  readonly path: string
  readonly randomBytes: (size: number) => Buffer
  /** Make the file with one new key when it is not there: only while there is no store yet that needs an older one. */
  readonly create: boolean
  /** Id of a key that is made. */
  readonly newKeyId: string
}

/** Throws `KEYRING_INVALID`, which names the file and never what stands in it. */
export function openKeyringFile(options: KeyringFileOptions): Keyring {
  const { path, randomBytes, create } = options
  const text = readText(path) ?? (create ? createFile(options) : undefined)
  if (text === undefined) throw new GatewayError('KEYRING_INVALID', `${path}: expected the keyring file, found none`)
  return named(path, () => parseKeyring(text, randomBytes))
}

/** The keyring from the value of an environment variable. */
export function keyringFromEnvironment(
  variable: string,
  value: string | undefined,
  randomBytes: (size: number) => Buffer,
): Keyring {
  return named(`environment variable ${variable}`, () => parseKeyring(value ?? '', randomBytes))
}

/**
 * Writes the file as a whole, readable by its owner only, and on disk before anything is sealed with it. When two processes
 * start at once, one file wins and both use it.
 */
function createFile({ path, randomBytes, newKeyId }: KeyringFileOptions): string {
  const draft = `${path}.${randomBytes(6).toString('hex')}.new`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, newKeyringText(newKeyId, randomBytes))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  try {
    linkSync(draft, path)
    syncFolder(dirname(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(draft)
  }
  return readFileSync(path, 'utf8')
}

/** The name in the folder survives a power cut only when the folder is synced too. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new GatewayError('KEYRING_INVALID', `${path}: the keyring file can't be read`, { cause: error })
  }
}

function named(where: string, parse: () => Keyring): Keyring {
  try {
    return parse()
  } catch (error) {
    if (error instanceof GatewayError) throw new GatewayError(error.code, `${where}: ${error.message}`)
    throw error
  }
}
