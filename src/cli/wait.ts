import { GatewayError } from '#core/errors.ts'
import { parseDuration } from '#model/settings/scalars.ts'
import { openAdminClient, type AdminClient } from './admin-client.ts'
import { adminOptions, jsonOption, printJson, printTable, textOption, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'

interface Revisions {
  readonly revision: number
  readonly nodes: readonly {
    readonly node_id: string
    readonly hostname: string
    readonly data_center: string
    readonly revision: number
  }[]
  readonly lagging: readonly string[]
  readonly down: readonly string[]
}

const TIMEOUT_MS = 30_000
/** One question waits so long at most; then it is asked again. */
const ROUND_MS = 20_000
const LAGS = 409

export const wait: Command = {
  name: 'wait',
  about:
    'Waits until every node that is up, in all data centers, serves a revision. Exits with 9 when some do not in time, and lists them.',
  positionals: [],
  options: {
    ...adminOptions,
    ...jsonOption,
    revision: {
      type: 'string',
      value: 'N',
      about: "The revision, as X-Config-Revision of a change's answer has it; by default the newest.",
    },
    timeout: { type: 'string', value: 'TIME', about: 'How long to wait, such as 10 (seconds) or 2m; 30s by default.' },
  },
  async run(context, options) {
    const typed = textOption(options, 'timeout')
    const timeoutMs = typed === undefined ? TIMEOUT_MS : parseDuration(typed)
    if (timeoutMs === null) throw new GatewayError('USAGE', `--timeout: expected a time such as 30s, got '${typed}'`)
    const wanted = textOption(options, 'revision')
    if (wanted !== undefined && !/^\d{1,15}$/.test(wanted))
      throw new GatewayError('USAGE', `--revision: expected a number, got '${wanted}'`)
    const client = await openAdminClient(context, options)
    try {
      const revision = wanted === undefined ? await newest(client) : Number(wanted)
      const { isServed, nodes, lagging, down } = await waitFor(client, revision, timeoutMs)
      const late = nodes.filter(({ node_id }) => lagging.includes(node_id))
      if (options['json'] === true) printJson(context, { revision, served: isServed, nodes, lagging, down })
      else {
        context.stdout.write(
          isServed
            ? `Every node that is up (${nodes.length}) serves revision ${revision}.\n`
            : `Of ${nodes.length} nodes ${late.length} can not be seen to serve revision ${revision}:\n`,
        )
        if (!isServed)
          printTable(context, [
            ['NODE', 'DATA CENTER', 'HOST', 'REVISION'],
            ...late.map((node) => [
              node.node_id,
              node.data_center,
              node.hostname,
              node.revision < 0 ? '-' : String(node.revision),
            ]),
          ])
        if (down.length > 0) context.stdout.write(`Not waited for, because down: ${down.join(', ')}\n`)
      }
      return isServed ? exitCodes.done : exitCodes.lagging
    } finally {
      await client.close()
    }
  },
}

async function newest(client: AdminClient): Promise<number> {
  return ((await client.ask('GET', '/cluster/revision')) as Revisions).revision
}

async function waitFor(
  client: AdminClient,
  revision: number,
  timeoutMs: number,
): Promise<Revisions & { readonly isServed: boolean }> {
  const untilMs = performance.now() + timeoutMs
  for (;;) {
    const leftMs = Math.max(0, untilMs - performance.now())
    const seconds = (Math.min(leftMs, ROUND_MS) / 1000).toFixed(3)
    const { status, answer } = await client.askFor([LAGS], `/cluster/revision?wait=${revision}&timeout=${seconds}`)
    const isServed = status !== LAGS
    if (isServed || leftMs <= ROUND_MS) return { ...(answer as Revisions), isServed }
  }
}
