/** Things fetched or built once and kept outside the tree: real programs for tests, tools built from source. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

/** `$XDG_CACHE_HOME/meridian/parts`, by default below `~/.cache`. */
export function partsFolder(): string {
  return path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'meridian', 'parts')
}

/**
 * The folder `name` of the cache, made by `make` when it isn't there. Whole or not at all: made under another name and
 * renamed, so that test processes that need the same part at once never see half of one.
 */
export async function cached(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = path.join(partsFolder(), name)
  if (existsSync(folder)) return folder
  mkdirSync(partsFolder(), { recursive: true })
  const unfinished = mkdtempSync(path.join(partsFolder(), `.${name}-`))
  try {
    await make(unfinished)
    renameSync(unfinished, folder)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    // Another process may have been first; its folder is as good as ours.
    if (!existsSync(folder)) throw error
  }
  return folder
}
