/** Answers of OCSP in files, one for each certificate. They are public and signed: whoever changes one makes it useless. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { StapleStore } from './stapler.ts'

/** @param folder made when it is missing */
export function stapleFolder(folder: string): StapleStore {
  const fileOf = (key: string) => path.join(folder, `${key}.ocsp`)
  return {
    async read(key) {
      try {
        return await readFile(fileOf(key))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
    },
    async write(key, answer) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      // Whole or not at all. There is one at a time for each certificate.
      const temporary = path.join(folder, `${key}.new`)
      await writeFile(temporary, answer)
      await rename(temporary, fileOf(key))
    },
    async keepOnly(keys) {
      const names = new Set([...keys].flatMap((key) => [`${key}.ocsp`, `${key}.new`]))
      for (const name of await namesIn(folder)) if (!names.has(name)) await rm(path.join(folder, name), { force: true })
    },
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
