import { jsonOption, printJson, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'

export const version: Command = {
  name: 'version',
  about: 'Prints the version.',
  positionals: [],
  options: jsonOption,
  async run(context, options) {
    if (options['json'] === true)
      printJson(context, {
        version: context.version,
        node: process.version,
        platform: `${process.platform}-${process.arch}`,
      })
    else
      context.stdout.write(
        `Meridian ${context.version} (Node ${process.version}, ${process.platform}-${process.arch})\n`,
      )
    return exitCodes.done
  },
}
