import { openAdminClient } from './admin-client.ts'
import { adminOptions, jsonOption, printJson, printTable, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import type { NodeList } from './node-list.ts'

export const nodes: Command = {
  name: 'nodes',
  about: 'Lists the nodes of all data centers, one a line.',
  positionals: [],
  options: { ...adminOptions, ...jsonOption },
  async run(context, options) {
    const client = await openAdminClient(context, options)
    try {
      const { data_centers } = (await client.ask('GET', '/cluster/nodes')) as NodeList
      const all = data_centers.flatMap(({ name, nodes: here }) => here.map((node) => ({ data_center: name, ...node })))
      if (options['json'] === true) printJson(context, { nodes: all })
      else
        printTable(context, [
          ['NODE', 'DATA CENTER', 'HOST', 'ADDRESS', 'STATE', 'REVISION', 'LAG', 'VERSION', 'STARTED'],
          ...all.map((node) => [
            node.node_id,
            node.data_center,
            node.hostname,
            node.address ?? '-',
            node.state,
            node.revision < 0 ? '-' : String(node.revision),
            String(node.lag),
            node.version,
            node.started_at ?? '-',
          ]),
        ])
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}
