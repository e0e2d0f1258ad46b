import path from 'node:path'
import { GatewayError } from '#core/errors.ts'
import type { Settings } from '#model/settings.ts'
import { changedSettings } from '#model/settings/changes.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { ReadSettings } from '#model/settings/read.ts'
import { banner } from './banner.ts'
import {
  settingsOptions,
  textOption,
  type CliContext,
  type Command,
  type OptionValues,
  type RunningNode,
} from './command.ts'
import { exitCodes } from './exit-code.ts'
import { callerFolder, loadSettings } from './load-settings.ts'
import { acquirePidFile } from './pid-file.ts'
import { describeHolders, findPortHolders } from './port-holder.ts'

export const start: Command = {
  name: 'start',
  about: 'Starts the gateway in the foreground; it ends by SIGTERM, SIGINT or `meridian stop`.',
  positionals: [],
  options: {
    ...settingsOptions,
    declarative: { type: 'string', value: 'FILE', about: 'Run from this declarative file, with database = off.' },
    set: {
      type: 'string',
      multiple: true,
      value: 'KEY=VALUE',
      about: 'A setting, over file and environment; may be repeated.',
    },
  },
  async run(context, options) {
    const read = loadSettings(context, options, overridesOf(context, options))
    const pidFile = acquirePidFile(read.settings.prefix, process.pid)
    try {
      const node = await runNode(context, read)
      // Before anybody is told that it is ready, and may send a signal.
      const ended = live(context, options, node, read)
      if (read.withoutMeaning.length > 0) {
        node.log.log.info({ settings: read.withoutMeaning }, 'settings of Kong that change nothing here')
      }
      context.stdout.write(banner(context.version, read.settings, node.listeners))
      await ended
      return exitCodes.done
    } finally {
      pidFile.release()
    }
  },
}

function overridesOf(context: CliContext, options: OptionValues): Record<string, string> {
  const overrides: Record<string, string> = {}
  for (const entry of Array.isArray(options['set']) ? (options['set'] as readonly string[]) : []) {
    const at = entry.indexOf('=')
    if (at < 1) throw new GatewayError('USAGE', `--set: expected KEY=VALUE, got '${entry}'`)
    overrides[entry.slice(0, at).trim()] = entry.slice(at + 1).trim()
  }
  const file = textOption(options, 'declarative')
  if (file !== undefined)
    Object.assign(overrides, { database: 'off', declarative_config: path.resolve(callerFolder(context), file) })
  return overrides
}

async function runNode(context: CliContext, read: ReadSettings): Promise<RunningNode> {
  try {
    return await context.run(read)
  } catch (error) {
    throw explainListenFailure(error, read.settings) ?? error
  }
}

/** A listener that can't be opened, told with the setting that asks for it and who is in the way; null for other failures. */
function explainListenFailure(error: unknown, settings: Settings): GatewayError | null {
  const { code, address = '', port = 0 } = error as NodeJS.ErrnoException & { address?: string; port?: number }
  const place = port > 0 ? `port ${port} of ${address}` : address
  const setting = settingOf(settings, address, port)
  switch (code) {
    case 'EADDRINUSE': {
      const holder = port > 0 ? describeHolders(findPortHolders(port)) : 'another program'
      return new GatewayError('PORT_BUSY', `${setting}: ${place} is taken by ${holder}`, { cause: error })
    }
    case 'EACCES':
    case 'EPERM':
      // A file can be forbidden, too.
      if (port === 0) return null
      return new GatewayError('PORT_FORBIDDEN', `${setting}: this user may not listen on ${place}`, { cause: error })
    case 'EADDRNOTAVAIL':
      return new GatewayError('ADDRESS_UNAVAILABLE', `${setting}: ${address} is no address of this machine`, {
        cause: error,
      })
    default:
      return null
  }
}

function settingOf(settings: Settings, address: string, port: number): string {
  const keys = ['proxy_listen', 'admin_listen', 'status_listen'] as const
  const isIt = (listener: Listener): boolean =>
    listener.socketPath === null ? listener.port === port && port > 0 : listener.socketPath === address
  return keys.find((key) => settings[key].some(isIt)) ?? 'listen'
}

const END_SIGNALS = { SIGTERM: false, SIGQUIT: false, SIGINT: true } as const

/**
 * Until the node has ended. SIGTERM and SIGQUIT drain; SIGINT, from a person at a keyboard, leaves out the time for load
 * balancers; a second one of them ends the process at once. SIGHUP reloads settings, SIGUSR1 reopens logs.
 */
function live(context: CliContext, options: OptionValues, node: RunningNode, started: ReadSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    // One after the other: what is applied is compared with what was in force before.
    let current = Promise.resolve(started)
    let isEnding = false
    const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
      SIGHUP: () => {
        current = current.then((before) => (isEnding ? before : reload(context, options, node, before)))
      },
      SIGUSR1: () => node.reopenLogs(),
    }
    for (const [signal, now] of Object.entries(END_SIGNALS)) {
      handlers[signal as NodeJS.Signals] = () => {
        if (isEnding) {
          node.log.flushSync()
          process.exit(exitCodes.failed)
        }
        isEnding = true
        node.log.log.info({ signal }, 'the gateway ends')
        node.stop({ now }).then(finish, fail)
      }
    }
    for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler)
    const forget = (): void => {
      for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler)
    }
    const finish = (): void => {
      forget()
      resolve()
    }
    const fail = (error: unknown): void => {
      forget()
      reject(error)
    }
  })
}

/** Settings that can't be read leave everything as it is. Answers what holds from now on. */
async function reload(
  context: CliContext,
  options: OptionValues,
  node: RunningNode,
  before: ReadSettings,
): Promise<ReadSettings> {
  const { log } = node.log
  let read: ReadSettings
  try {
    read = loadSettings(context, options, overridesOf(context, options))
  } catch (error) {
    const details = error instanceof GatewayError ? error.details : []
    log.error({ error, problems: details }, 'settings not reloaded, those before stay in force')
    return before
  }
  const { applied, waiting } = changedSettings(before.texts, read.texts)
  if (waiting.length > 0) log.warn({ settings: waiting }, 'changed settings wait for the next start')
  try {
    await node.reload(read, applied)
  } catch (error) {
    const details = error instanceof GatewayError ? error.details : []
    log.error({ error, problems: details }, 'settings not reloaded, those before stay in force')
    return before
  }
  log.info({ settings: applied }, 'settings reloaded')
  return read
}
