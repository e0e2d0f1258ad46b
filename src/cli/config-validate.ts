import { readFileSync } from 'node:fs'
import path from 'node:path'
import { GatewayError } from '#core/errors.ts'
import { jsonOption, printJson, settingsOptions, type CliContext, type Command, type OptionValues } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { callerFolder, loadSettings } from './load-settings.ts'

async function validate(context: CliContext, options: OptionValues, [name = '']: readonly string[]): Promise<number> {
  const read = loadSettings(context, options)
  const file = path.resolve(callerFolder(context), name)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new GatewayError(
      'DECLARATIVE_INVALID',
      `${name}: expected a file that can be read (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    )
  }
  const verdict = await context.checkDeclarative(read, { path: name, text })
  if (!verdict.ok) {
    const count = verdict.problems.length
    throw new GatewayError('DECLARATIVE_INVALID', `${name} has ${count === 1 ? 'an error' : `${count} errors`}`, {
      details: verdict.problems,
    })
  }
  if (options['json'] === true) printJson(context, { valid: true, entities: verdict.counts })
  else {
    const counts = Object.entries(verdict.counts).map(([kind, count]) => `${count} ${kind}`)
    context.stdout.write(`${name} is valid: ${counts.length === 0 ? 'it has no entities' : counts.join(', ')}\n`)
  }
  return exitCodes.done
}

const definition = {
  about: 'Checks a declarative file without loading it: every error, with its line.',
  positionals: ['FILE'],
  options: { ...settingsOptions, ...jsonOption },
  run: validate,
}

export const configValidate: Command = { ...definition, name: 'config validate' }
/** Kong's name for it. */
export const configParse: Command = { ...definition, name: 'config parse', about: 'The same as `config validate`.' }
