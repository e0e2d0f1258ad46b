import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { GatewayError } from '#core/errors.ts'
import { readSettings, type ReadSettings } from '#model/settings/read.ts'
import { textOption, type CliContext, type OptionValues } from './command.ts'

const DEFAULT_FILE = 'meridian.conf'
/** A settings file has some kilobytes; anything far larger was named by mistake. */
const LIMIT_BYTES = 1 << 20

/** The settings that hold for a command. Throws SETTINGS_INVALID with every problem. */
export function loadSettings(
  context: CliContext,
  options: OptionValues,
  overrides: Readonly<Record<string, string>> = {},
): ReadSettings {
  const prefix = textOption(options, 'prefix')
  const result = readSettings({
    file: readSettingsFile(context, options),
    environment: context.environment,
    overrides: { ...(prefix !== undefined && { prefix: path.resolve(callerFolder(context), prefix) }), ...overrides },
    workingFolder: context.workingFolder,
    cores: context.cores,
  })
  if (result.ok) return result
  const count = result.problems.length
  throw new GatewayError('SETTINGS_INVALID', `the settings have ${count === 1 ? 'an error' : `${count} errors`}`, {
    details: result.problems,
  })
}

/** Where the operator typed the command: npm runs scripts in the package's folder and tells the other one. */
export function callerFolder({ environment, workingFolder }: CliContext): string {
  const initial = environment['npm_lifecycle_event'] === undefined ? undefined : environment['INIT_CWD']
  return initial ?? workingFolder
}

function readSettingsFile(context: CliContext, options: OptionValues): { path: string; text: string } | null {
  const typed = textOption(options, 'conf')
  const named = typed ?? context.environment['MERIDIAN_CONF']
  const file =
    typed === undefined
      ? path.resolve(context.workingFolder, named ?? DEFAULT_FILE)
      : path.resolve(callerFolder(context), typed)
  try {
    const { size } = statSync(file)
    if (size > LIMIT_BYTES)
      throw new GatewayError(
        'SETTINGS_INVALID',
        `${file}: expected a settings file of at most ${LIMIT_BYTES} bytes, got ${size}`,
      )
    return { path: path.relative(context.workingFolder, file) || file, text: readFileSync(file, 'utf8') }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (cause instanceof GatewayError) throw cause
    if (code === 'ENOENT' && named === undefined) return null
    throw new GatewayError('SETTINGS_INVALID', `${file}: expected a settings file that can be read (${code})`, {
      cause,
    })
  }
}
