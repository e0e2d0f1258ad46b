import { openAdminClient } from './admin-client.ts'
import { adminOptions, type Command, type OptionValues } from './command.ts'
import { exitCodes } from './exit-code.ts'

export const cachePurge: Command = {
  name: 'cache purge',
  about: 'Drops stored responses of the plugin proxy-cache: by tags, prefixes of paths, or keys.',
  positionals: [],
  options: {
    ...adminOptions,
    tag: { type: 'string', multiple: true, value: 'TAG', about: 'Of Surrogate-Key or Cache-Tag; may be repeated.' },
    'path-prefix': {
      type: 'string',
      multiple: true,
      value: '[HOST]/PATH',
      about: 'A path with all below it, of one host or any; may be repeated.',
    },
    key: { type: 'string', multiple: true, value: 'KEY', about: 'What X-Cache-Key said; may be repeated.' },
    everything: { type: 'boolean', about: 'All of them.' },
  },
  async run(context, options) {
    const client = await openAdminClient(context, options)
    try {
      await client.ask('POST', '/proxy-cache/purge', {
        tags: textsOf(options, 'tag'),
        prefixes: textsOf(options, 'path-prefix'),
        keys: textsOf(options, 'key'),
        everything: options['everything'] === true,
      })
      context.stdout.write('Purged.\n')
      return exitCodes.done
    } finally {
      await client.close()
    }
  },
}

function textsOf(options: OptionValues, name: string): readonly string[] {
  const given = options[name]
  return Array.isArray(given) ? given.filter((text) => typeof text === 'string') : []
}
