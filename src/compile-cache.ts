/** Compiled code is kept under the prefix, so that later starts are fast. Each thread asks for it before it loads the rest. */
import { enableCompileCache, flushCompileCache } from 'node:module'
import path from 'node:path'

export function useCompileCache(prefix: string): void {
  enableCompileCache(path.join(prefix, 'compile-cache'))
}

/** Writes what is not there yet. Node does so by itself only when it ends in order, and never in a thread that is terminated. */
export function keepCompiled(): void {
  flushCompileCache()
}
