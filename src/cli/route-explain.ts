import { GatewayError } from '#core/errors.ts'
import { openAdminClient } from './admin-client.ts'
import { adminOptions, printJson, textOption, type Command, type OptionValues } from './command.ts'
import { exitCodes } from './exit-code.ts'

export const routeExplain: Command = {
  name: 'route explain',
  about: 'Says which route a request matches, and why the others do not. The URL is asked of nobody.',
  positionals: ['URL'],
  options: {
    ...adminOptions,
    method: { type: 'string', short: 'X', value: 'METHOD', about: 'GET by default.' },
    header: {
      type: 'string',
      short: 'H',
      multiple: true,
      value: 'NAME: VALUE',
      about: 'A header of the request; may be repeated.',
    },
    sni: { type: 'string', value: 'NAME', about: 'TLS server name, when it is not the host of an https URL.' },
  },
  async run(context, options, [target = '']) {
    const query = describeRequest(target, options)
    const client = await openAdminClient(context, options)
    try {
      printJson(context, await client.ask('GET', `/debug/route?${query.toString()}`))
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}

function describeRequest(target: string, options: OptionValues): URLSearchParams {
  const url = URL.canParse(target) ? new URL(target) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new GatewayError('USAGE', `expected a URL such as http://a.example/path, got '${target}'`)
  }
  const query = new URLSearchParams({
    method: textOption(options, 'method') ?? 'GET',
    scheme: url.protocol.slice(0, -1),
    host: url.host,
    path: url.pathname + url.search,
  })
  const sni = textOption(options, 'sni') ?? (url.protocol === 'https:' ? url.hostname : undefined)
  if (sni !== undefined) query.set('sni', sni)
  for (const header of Array.isArray(options['header']) ? (options['header'] as readonly string[]) : []) {
    const at = header.indexOf(':')
    if (at < 1) throw new GatewayError('USAGE', `--header: expected 'NAME: VALUE', got '${header}'`)
    // As curl: a Host header stands for the host of the URL.
    if (header.slice(0, at).toLowerCase() === 'host') query.set('host', header.slice(at + 1).trim())
    else query.append(`header.${header.slice(0, at)}`, header.slice(at + 1).trim())
  }
  return query
}
