import assert from 'node:assert/strict'
import path from 'node:path'
import { runChild } from './process.ts'

const MAIN = path.resolve(import.meta.dirname, '..', '..', 'src', 'main.ts')

/** Runs a command of the command line with these settings in its environment; fails unless it ends with 0. */
export async function runMeridian(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<void> {
  const env = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`MERIDIAN_${key.toUpperCase()}`, value]),
  )
  const child = await runChild({
    command: process.execPath,
    args: [MAIN, ...args],
    env: { ...process.env, ...env },
    name: args[0]!,
    timeoutMs: 120_000,
  })
  assert.equal(child.code, 0, child.output)
}
