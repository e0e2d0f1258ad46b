import { GatewayError } from '#core/errors.ts'
import { openAdminClient, type AdminClient } from './admin-client.ts'
import {
  adminOptions,
  jsonOption,
  printJson,
  printTable,
  textOption,
  type CliContext,
  type Command,
} from './command.ts'
import { exitCodes } from './exit-code.ts'

interface LogEntry {
  readonly revision: number
  readonly at: string
  readonly actor: string
  readonly via: string
  readonly changes: readonly { readonly action: string; readonly kind: string; readonly id: string }[]
}

const DEFAULT_SIZE = '20'
/** Changes of one entry that a line of the list names. */
const SHOWN_CHANGES = 3

export const log: Command = {
  name: 'log',
  about: 'Shows the history of the configuration, newest first; or one revision with what it changed.',
  positionals: ['[REVISION]'],
  options: {
    ...adminOptions,
    ...jsonOption,
    size: { type: 'string', value: 'N', about: `How many revisions, ${DEFAULT_SIZE} by default.` },
  },
  async run(context, options, [revision]) {
    const client = await openAdminClient(context, options)
    try {
      if (revision !== undefined) return await showOne(context, client, revisionOf(revision))
      const size = textOption(options, 'size') ?? DEFAULT_SIZE
      const answer = (await client.ask('GET', `/log?size=${encodeURIComponent(size)}`)) as {
        readonly data: readonly LogEntry[]
      }
      if (options['json'] === true) printJson(context, answer.data)
      else printTable(context, [['REVISION', 'AT', 'BY', 'VIA', 'CHANGES'], ...answer.data.map(rowOf)])
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}

export const logDiff: Command = {
  name: 'log diff',
  about: 'Shows what differs between two revisions; TO is the newest when absent. Secrets are never shown.',
  positionals: ['FROM', '[TO]'],
  options: { ...adminOptions, ...jsonOption },
  async run(context, options, [from = '', to]) {
    const client = await openAdminClient(context, options)
    try {
      const range = `from=${revisionOf(from)}${to === undefined ? '' : `&to=${revisionOf(to)}`}`
      printJson(context, await client.ask('GET', `/log/diff?${range}`))
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}

export function revisionOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new GatewayError('USAGE', `expected a revision, which is a number, got '${text}'`)
  return Number(text)
}

async function showOne(context: CliContext, client: AdminClient, revision: number): Promise<number> {
  printJson(context, await client.ask('GET', `/log/${revision}`))
  return exitCodes.done
}

function rowOf({ revision, at, actor, via, changes }: LogEntry): string[] {
  const shown = changes.slice(0, SHOWN_CHANGES).map(({ action, kind, id }) => `${action} ${kind} ${id}`)
  const more = changes.length > SHOWN_CHANGES ? [`and ${changes.length - SHOWN_CHANGES} more`] : []
  return [String(revision), at, actor, via, [...shown, ...more].join(', ')]
}
