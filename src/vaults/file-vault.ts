/**
 * The vault `file`: each resource is a file below one folder that the operator names, as container platforms mount secrets. Who may
 * write configurations decides which of these files is read, so nothing outside of the folder is, not over a link either.
 */
import { open, realpath } from 'node:fs/promises'
import path from 'node:path'
import type { Vault } from './vault.ts'

/** A secret is a text that people or programs made, not data. */
const FILE_BYTES_MAX = 1024 * 1024

/** `folder`: null when no files may be read. */
export function createFileVault(folder: string | null): Vault {
  return {
    async fetch(config, resource, version) {
      if (folder === null) return { reason: 'files can be referenced only where the setting vault_file_folder is set' }
      if (version !== null) return { reason: 'a file has no versions' }
      const name = `${typeof config['prefix'] === 'string' ? config['prefix'] : ''}${resource}`
      if (name.includes('\0')) return { reason: 'expected the name of a file' }
      try {
        const root = await realpath(folder)
        const file = await realpath(path.join(root, name))
        if (!file.startsWith(root + path.sep)) return { reason: `${name} is outside of vault_file_folder` }
        return await readText(file)
      } catch (error) {
        return { reason: `${name} can not be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}` }
      }
    },
  }
}

async function readText(file: string): Promise<{ readonly value: string } | { readonly reason: string }> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    if (size > FILE_BYTES_MAX) return { reason: `the file has over ${FILE_BYTES_MAX} bytes` }
    // Editors and `echo` end a file with a line break that is no part of the secret.
    return { value: (await handle.readFile('utf8')).replace(/\r?\n$/, '') }
  } finally {
    await handle.close()
  }
}
