import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { GatewayError } from '#core/errors.ts'
import { openKeyringFile } from '#store/keyring-file.ts'
import { jsonOption, printJson, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'

export const keyringCreate: Command = {
  name: 'keyring create',
  about:
    'Makes the file with the keys by which a cluster seals its secrets. Every node needs the same: copy it by a safe way.',
  positionals: ['FILE'],
  options: jsonOption,
  async run(context, options, [name = '']) {
    const file = path.resolve(context.workingFolder, name)
    // Another key in its place would lose what was sealed with the one that is there.
    if (existsSync(file)) throw new GatewayError('USAGE', `FILE: expected a file that is not there yet, got ${file}`)
    const newKeyId = new Date().toISOString().slice(0, 10)
    openKeyringFile({ path: file, randomBytes, create: true, newKeyId })
    if (options['json'] === true) printJson(context, { file, key_id: newKeyId })
    else context.stdout.write(`${file}: a keyring with the key ${newKeyId}; keyring_file names it on every node\n`)
    return exitCodes.done
  },
}
