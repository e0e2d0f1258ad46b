import { openAdminClient } from './admin-client.ts'
import {
  adminOptions,
  jsonOption,
  printJson,
  printTable,
  type CliContext,
  type Command,
  type OptionValues,
} from './command.ts'
import { exitCodes } from './exit-code.ts'
import { urlOf } from './listener-url.ts'
import { loadSettings } from './load-settings.ts'

interface Revisions {
  readonly revision: number
  readonly nodes: readonly { readonly node_id: string; readonly hostname: string; readonly revision: number }[]
}
interface Root {
  readonly node_id: string
  readonly meridian: { readonly version: string; readonly workers: number; readonly warnings: readonly string[] }
}

const TIMEOUT_MS = 5000

export const status: Command = {
  name: 'status',
  about: 'Shows the nodes: whether they take traffic, which revision they serve and how far they are behind.',
  positionals: [],
  options: { ...adminOptions, ...jsonOption },
  async run(context, options) {
    const client = await openAdminClient(context, options)
    try {
      const [revisions, root] = await Promise.all([client.ask('GET', '/cluster/revision'), client.ask('GET', '/')])
      const { revision, nodes } = revisions as Revisions
      const { node_id: ownId, meridian } = root as Root
      const readiness = await readinessOf(context, options)
      const rows = nodes.map((node) => ({
        node: node.hostname,
        id: node.node_id,
        state: node.node_id === ownId ? readiness : 'up',
        revision: node.revision,
        lag: Math.max(0, revision - node.revision),
        version: node.node_id === ownId ? meridian.version : '',
      }))
      if (options['json'] === true) printJson(context, { revision, nodes: rows, warnings: meridian.warnings })
      else {
        const cells = rows.map(({ node, id, state, revision: served, lag, version }) => [
          state,
          node,
          String(served),
          String(lag),
          version,
          id,
        ])
        printTable(context, [['STATE', 'NODE', 'REVISION', 'LAG', 'VERSION', 'ID'], ...cells])
        for (const warning of meridian.warnings) context.stdout.write(`warning: ${warning}\n`)
      }
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}

/** What the status listener of this machine's node says; 'up' when it is off or somewhere else. */
async function readinessOf(context: CliContext, options: OptionValues): Promise<string> {
  if (options['admin'] !== undefined || context.environment['MERIDIAN_ADMIN_URL'] !== undefined) return 'up'
  const listener = loadSettings(context, options).settings.status_listen.find(
    ({ socketPath, ssl }) => socketPath === null && !ssl,
  )
  if (listener === undefined) return 'up'
  try {
    const response = await fetch(`${urlOf(listener)}/status/ready`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    const { message } = (await response.json()) as { readonly message: string }
    return response.ok ? 'ready' : message
  } catch {
    // The Admin API answered, so the node is there.
    return 'up'
  }
}
