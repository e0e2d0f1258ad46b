import { openAdminClient } from './admin-client.ts'
import { adminOptions, jsonOption, printJson, printTable, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { cellsOf, COLUMNS, LEGEND, type NodeList } from './node-list.ts'

interface Root {
  readonly meridian: { readonly warnings: readonly string[] }
}

export const status: Command = {
  name: 'status',
  about:
    'Shows the nodes of each data center, in the manner of nodetool: whether they are up and take traffic, which revision they serve and how far they are behind.',
  positionals: [],
  options: { ...adminOptions, ...jsonOption },
  async run(context, options) {
    const client = await openAdminClient(context, options)
    try {
      const [list, root] = await Promise.all([client.ask('GET', '/cluster/nodes'), client.ask('GET', '/')])
      const { revision, data_centers } = list as NodeList
      const { warnings } = (root as Root).meridian
      if (options['json'] === true) printJson(context, { revision, data_centers, warnings })
      else {
        for (const { name, nodes } of data_centers) {
          const title = `Datacenter: ${name}`
          context.stdout.write(`${title}\n${'='.repeat(title.length)}\n${LEGEND.join('\n')}\n`)
          printTable(context, [COLUMNS, ...nodes.map(cellsOf)])
          context.stdout.write('\n')
        }
        context.stdout.write(`Newest revision: ${revision}\n`)
        for (const warning of warnings) context.stdout.write(`warning: ${warning}\n`)
      }
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}
