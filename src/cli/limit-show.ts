import { openAdminClient } from './admin-client.ts'
import { adminOptions, jsonOption, printJson, printTable, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'

interface Shown {
  readonly limits: readonly {
    readonly name: string
    readonly tier: string | null
    readonly limit: number
    readonly used: number | null
    readonly remaining: number | null
    readonly ends_at?: string
    readonly data_centers: readonly {
      readonly name: string
      readonly reachable: boolean
      readonly used: number
      readonly share?: number
    }[]
  }[]
}

const pathOf = (plugin: string, subject: string) =>
  `/traffic-limit/${encodeURIComponent(plugin)}/${encodeURIComponent(subject)}`

export const limitShow: Command = {
  name: 'limit show',
  about: 'Shows what a traffic-limit plugin has counted of somebody, over all data centers.',
  positionals: ['PLUGIN', 'SUBJECT'],
  options: { ...adminOptions, ...jsonOption },
  async run(context, options, [plugin = '', subject = '']) {
    const client = await openAdminClient(context, options)
    try {
      const answer = (await client.ask('GET', pathOf(plugin, subject))) as Shown
      if (options['json'] === true) printJson(context, answer)
      else
        printTable(context, [
          ['LIMIT', 'TIER', 'OF', 'USED', 'LEFT', 'ENDS', 'DATA CENTERS'],
          ...answer.limits.map((each) => [
            each.name,
            each.tier ?? '-',
            String(each.limit),
            each.used === null ? '-' : String(each.used),
            each.remaining === null ? '-' : String(each.remaining),
            each.ends_at ?? '-',
            each.data_centers.map(described).join(', ') || '-',
          ]),
        ])
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}

export const limitReset: Command = {
  name: 'limit reset',
  about: 'Lets what a traffic-limit plugin has counted of somebody no longer count.',
  positionals: ['PLUGIN', 'SUBJECT'],
  options: adminOptions,
  async run(context, options, [plugin = '', subject = '']) {
    const client = await openAdminClient(context, options)
    try {
      await client.ask('DELETE', pathOf(plugin, subject))
      context.stdout.write(`The limits of ${subject} begin anew.\n`)
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}

function described({ name, reachable, used, share }: Shown['limits'][number]['data_centers'][number]): string {
  return `${name} ${used}${share === undefined ? '' : `/${share}`}${reachable ? '' : ' (does not answer)'}`
}
