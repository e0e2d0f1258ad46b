/** The command line: finds the command, parses its options, runs it, and turns failures into messages and exit codes. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { nearestName } from '#core/nearest.ts'
import type { CliContext, Command, OptionValues } from './command.ts'
import { commands } from './commands.ts'
import { exitCodes } from './exit-code.ts'
import { explainFailure } from './fail.ts'
import { commandHelp, generalHelp } from './help.ts'

/** Answers the exit code; for `start` when the gateway has ended. */
export async function runCli(words: readonly string[], context: CliContext): Promise<number> {
  const [first] = words
  if (first === undefined) return usage(context, generalHelp())
  if (first === '--help' || first === '-h' || first === 'help') return print(context, generalHelp())
  if (first === '--version' || first === '-v') return await runCli(['version', ...words.slice(1)], context)
  const found = findCommand(words)
  if (found === null) return usage(context, unknownCommand(words))
  const parsed = parseOptions(found.command, found.rest)
  if ('problem' in parsed)
    return usage(context, `meridian ${found.command.name}: ${parsed.problem}\n\n${commandHelp(found.command)}`)
  if (parsed.options['help'] === true) return print(context, commandHelp(found.command))
  try {
    return await found.command.run(context, parsed.options, parsed.positionals)
  } catch (error) {
    return explainFailure(context, error, parsed.options['json'] === true)
  }
}

/** The longest name that fits: `config validate` before `config`. */
function findCommand(words: readonly string[]): { command: Command; rest: readonly string[] } | null {
  for (const count of [2, 1]) {
    const command = commands.find(({ name }) => name === words.slice(0, count).join(' '))
    if (command !== undefined) return { command, rest: words.slice(count) }
  }
  return null
}

type Parsed = { readonly options: OptionValues; readonly positionals: readonly string[] } | { readonly problem: string }

function parseOptions(command: Command, words: readonly string[]): Parsed {
  const options: ParseArgsOptionsConfig = { help: { type: 'boolean', short: 'h' } }
  for (const [name, { type, short, multiple }] of Object.entries(command.options)) {
    options[name] = { type, ...(short !== undefined && { short }), ...(multiple !== undefined && { multiple }) }
  }
  try {
    const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true, strict: true })
    const least = command.positionals.filter((name) => !name.startsWith('[')).length
    const isFit = positionals.length >= least && positionals.length <= command.positionals.length
    if (values['help'] === true || isFit) return { options: values, positionals }
    return {
      problem: `expected ${command.positionals.length === 0 ? 'no arguments' : command.positionals.join(' ')}, got ${positionals.length === 0 ? 'none' : positionals.join(' ')}`,
    }
  } catch (error) {
    // parseArgs names the option that it does not know, or that lacks its value.
    return { problem: (error as Error).message }
  }
}

function unknownCommand(words: readonly string[]): string {
  const typed = words.slice(0, 2).join(' ')
  const names = commands.map(({ name }) => name)
  const nearest = nearestName(typed, names) ?? nearestName(words[0] ?? '', names)
  const same = names.filter((name) => name.startsWith(`${words[0]} `))
  const hint =
    nearest === null ? (same.length > 0 ? `; there is ${same.join(', ')}` : '') : `; did you mean '${nearest}'?`
  return `meridian: unknown command '${same.length > 0 ? typed : words[0]}'${hint}\n\n${generalHelp()}`
}

function print(context: CliContext, text: string): number {
  context.stdout.write(text)
  return exitCodes.done
}

function usage(context: CliContext, text: string): number {
  context.stderr.write(text)
  return exitCodes.usage
}
