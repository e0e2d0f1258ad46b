import { openAdminClient } from './admin-client.ts'
import { adminOptions, jsonOption, printJson, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { revisionOf } from './log.ts'

export const epochBegin: Command = {
  name: 'epoch begin',
  about:
    "After Cassandra was lost or put back to an earlier state: all nodes go on from the state of this node's copy. REVISION is where it stands, as a confirmation.",
  positionals: ['REVISION'],
  options: { ...adminOptions, ...jsonOption },
  async run(context, options, [text = '']) {
    const client = await openAdminClient(context, options)
    try {
      const answer = await client.ask('POST', '/cluster/epoch', { revision: revisionOf(text) })
      if (options['json'] === true) printJson(context, answer)
      else context.stdout.write(`A new epoch began at revision ${text}. Nodes that stand elsewhere load this state.\n`)
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}
