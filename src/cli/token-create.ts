import { randomBytes } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { createToken, ROLES, type Role } from '#admin/tokens.ts'
import { GatewayError } from '#core/errors.ts'
import { jsonOption, printJson, settingsOptions, textOption, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { loadSettings } from './load-settings.ts'

const TOKEN_BYTES = 32

export const tokenCreate: Command = {
  name: 'token create',
  about: 'Makes a token for the Admin API and prints it, once; its hash goes into admin_token_file, or is printed too.',
  positionals: ['NAME'],
  options: {
    ...settingsOptions,
    ...jsonOption,
    role: { type: 'string', value: 'ROLE', about: `${ROLES.join(', ')}; viewer by default.` },
  },
  async run(context, options, [name = '']) {
    const role = textOption(options, 'role') ?? 'viewer'
    if (!(ROLES as readonly string[]).includes(role)) {
      throw new GatewayError('USAGE', `--role: expected one of ${ROLES.join(', ')}, got '${role}'`)
    }
    const { token, line } = createToken(name, role as Role, () => randomBytes(TOKEN_BYTES))
    const { admin_token_file: file } = loadSettings(context, options).settings
    if (file !== null) append(file, line)
    if (options['json'] === true) printJson(context, { name, role, token, line, file })
    else {
      context.stdout.write(`${token}\n`)
      context.stderr.write(
        file === null
          ? `Put this line into the file that admin_token_file names:\n${line}\n`
          : `Added to ${file}; meridian reload makes it count.\n`,
      )
    }
    return exitCodes.done
  },
}

function append(file: string, line: string): void {
  try {
    appendFileSync(file, `${line}\n`, { mode: 0o600 })
  } catch (cause) {
    throw new GatewayError(
      'PREFIX_UNUSABLE',
      `admin_token_file: expected a file that can be written, got ${file} (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    )
  }
}
