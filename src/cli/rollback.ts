import { openAdminClient } from './admin-client.ts'
import { adminOptions, jsonOption, printJson, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { revisionOf } from './log.ts'

export const rollback: Command = {
  name: 'rollback',
  about: 'Makes the configuration what it was at a revision, as a new revision.',
  positionals: ['REVISION'],
  options: { ...adminOptions, ...jsonOption },
  async run(context, options, [text = '']) {
    const client = await openAdminClient(context, options)
    try {
      const revision = revisionOf(text)
      const answer = (await client.ask('POST', '/log/rollback', { revision })) as { readonly changes?: number }
      if (options['json'] === true) printJson(context, answer)
      else
        context.stdout.write(
          `The configuration is what it was at revision ${revision}: ${answer.changes ?? 0} changes.\n`,
        )
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}
