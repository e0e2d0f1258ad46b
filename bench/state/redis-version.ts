import { locatePart } from '../../test/support/parts.ts'
import { runChild } from '../../test/support/process.ts'

/** As redis-server says it of itself. */
export async function redisVersion(): Promise<string> {
  const { command, env } = await locatePart('redis')
  const { output } = await runChild({
    name: 'redis-server',
    command,
    args: ['--version'],
    env: { ...process.env, ...env },
    timeoutMs: 10_000,
  })
  const [, version] = /\bv=(\S+)/.exec(output) ?? []
  return version === undefined ? 'Redis of unknown version' : `Redis ${version}`
}
