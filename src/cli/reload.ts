import { GatewayError } from '#core/errors.ts'
import { settingsOptions, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { loadSettings } from './load-settings.ts'
import { runningPid } from './pid-file.ts'

export const reload: Command = {
  name: 'reload',
  about: 'Makes the running gateway read its settings and certificates anew. Errors are told here and nothing changes.',
  positionals: [],
  options: settingsOptions,
  async run(context, options) {
    // The same file as the running one reads: what is wrong with it is better told to the one who waits.
    const { settings } = loadSettings(context, options)
    const pid = runningPid(settings.prefix)
    if (pid === null) throw new GatewayError('NOT_RUNNING', `no gateway runs with the prefix ${settings.prefix}`)
    process.kill(pid, 'SIGHUP')
    context.stdout.write(
      `The gateway (pid ${pid}) reloads its settings; its log says which of them wait for the next start.\n`,
    )
    return exitCodes.done
  },
}
