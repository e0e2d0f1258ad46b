import { setTimeout as delay } from 'node:timers/promises'
import { GatewayError } from '#core/errors.ts'
import { parseDuration } from '#model/settings/scalars.ts'
import { jsonOption, printJson, settingsOptions, textOption, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { loadSettings } from './load-settings.ts'
import { isAlive, runningPid } from './pid-file.ts'

/** On top of what the settings allow for draining: closing the store and the threads. */
const MARGIN_MS = 10_000
const LOOK_MS = 100

export const stop: Command = {
  name: 'stop',
  about: 'Ends the gateway of this prefix: it turns away new work, finishes what is in flight, and ends.',
  positionals: [],
  options: {
    ...settingsOptions,
    ...jsonOption,
    timeout: {
      type: 'string',
      value: 'TIME',
      about: 'How long to wait, such as 30s; by default as long as drain_delay and shutdown_timeout allow.',
    },
    force: { type: 'boolean', about: 'End it at once when the time is over; requests in flight are lost.' },
  },
  async run(context, options) {
    const { settings } = loadSettings(context, options)
    const pid = runningPid(settings.prefix)
    if (pid === null) throw new GatewayError('NOT_RUNNING', `no gateway runs with the prefix ${settings.prefix}`)
    const typed = textOption(options, 'timeout')
    const timeoutMs =
      typed === undefined ? settings.drain_delay + settings.shutdown_timeout + MARGIN_MS : parseDuration(typed)
    if (timeoutMs === null) throw new GatewayError('USAGE', `--timeout: expected a time such as 30s, got '${typed}'`)
    process.kill(pid, 'SIGTERM')
    const wasForced = !(await hasEnded(pid, timeoutMs))
    if (wasForced) {
      if (options['force'] !== true)
        throw new GatewayError('STOP_TIMEOUT', `the gateway (pid ${pid}) did not end within ${timeoutMs} ms`)
      process.kill(pid, 'SIGKILL')
      await hasEnded(pid, MARGIN_MS)
    }
    if (options['json'] === true) printJson(context, { pid, stopped: true, forced: wasForced })
    else context.stdout.write(`The gateway (pid ${pid}) has ${wasForced ? 'been ended by force' : 'ended'}.\n`)
    return exitCodes.done
  },
}

async function hasEnded(pid: number, timeoutMs: number): Promise<boolean> {
  const untilMs = performance.now() + timeoutMs
  while (isAlive(pid)) {
    if (performance.now() >= untilMs) return false
    await delay(LOOK_MS)
  }
  return true
}
