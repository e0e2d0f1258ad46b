/** What `--help` prints, and the reference page: both from the table of commands. */
import type { Command, CommandOption } from './command.ts'
import { commands } from './commands.ts'
import { exitCodeMeanings, exitCodes } from './exit-code.ts'

export function generalHelp(): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    'Usage: meridian COMMAND [OPTIONS]',
    '',
    ...commands.map(({ name, about }) => `  ${name.padEnd(width)}  ${plain(about)}`),
    '',
    'meridian COMMAND --help says more. Exit codes:',
    ...exitCodeRows().map(([code, meaning]) => `  ${code}  ${meaning}`),
    '',
  ].join('\n')
}

export function commandHelp(command: Command): string {
  const options = optionRows(command)
  const width = Math.max(0, ...options.map(([name]) => name.length))
  return [
    `Usage: ${usageOf(command)}`,
    '',
    plain(command.about),
    '',
    ...options.map(([name, about]) => `  ${name.padEnd(width)}  ${plain(about)}`),
    '',
  ].join('\n')
}

/** The page `docs/reference/cli.md`. */
export function cliReference(): string {
  const lines = [
    '# Command line',
    '',
    'Generated from `src/cli/` by `npm run docs`. From a clone, `npm start -- OPTIONS` is `meridian start OPTIONS`.',
  ]
  for (const command of commands) {
    lines.push(
      '',
      `## meridian ${command.name}`,
      '',
      command.about,
      '',
      `    ${usageOf(command)}`,
      '',
      '| option | meaning |',
      '|---|---|',
    )
    for (const [name, about] of optionRows(command)) lines.push(`| \`${name}\` | ${about} |`)
  }
  lines.push('', '## Exit codes', '', '| code | meaning |', '|---|---|')
  for (const [code, meaning] of exitCodeRows()) lines.push(`| ${code} | ${meaning} |`)
  return `${lines.join('\n')}\n`
}

function usageOf({ name, positionals }: Command): string {
  return ['meridian', name, ...positionals, '[OPTIONS]'].join(' ')
}

function optionRows({ options }: Command): [name: string, about: string][] {
  const rows = Object.entries(options).map(([name, option]): [string, string] => [
    optionText(name, option),
    option.about,
  ])
  return [...rows, ['--help', 'Print this.']]
}

function optionText(name: string, { short, value }: CommandOption): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
}

function exitCodeRows(): [code: string, meaning: string][] {
  return Object.entries(exitCodes).map(([name, code]) => [
    String(code),
    exitCodeMeanings[name as keyof typeof exitCodes],
  ])
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}
