/** The sample file and the reference page, generated from the definitions. */
import { settingSections } from '../settings.ts'
import { kongKeysWithoutMeaning } from './kong-keys.ts'
import type { Setting } from './setting.ts'

const WRAP_COLUMNS = 100

/** `meridian.conf.default`: every setting with its default, commented out. */
export function sampleFile(): string {
  const lines = [
    '# Settings of Meridian. Every line shows a default; remove the # to change it.',
    '# Each can also be given in the environment: MERIDIAN_PROXY_LISTEN for proxy_listen, else KONG_PROXY_LISTEN.',
    '# Times are seconds without a unit, or such as 500ms, 30s, 1h30m; sizes are bytes, or such as 8k, 1m, 2g.',
  ]
  for (const { title, settings } of settingSections) {
    lines.push('', `## ${title}`)
    for (const [key, setting] of Object.entries<Setting>(settings)) {
      lines.push('', ...wrap(plain(setting.description), WRAP_COLUMNS - 2).map((line) => `# ${line}`))
      lines.push(`#${key} =${setting.default === null || setting.default === '' ? '' : ` ${setting.default}`}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** The page `docs/reference/settings.md`. */
export function settingsReference(): string {
  const lines = [
    '# Settings',
    '',
    'Generated from `src/model/settings.ts` by `npm run docs`.',
    '',
    'A setting is a line `key = value` in `meridian.conf` (in the working folder, or named by `--conf` or `MERIDIAN_CONF`), or an environment variable: `MERIDIAN_<KEY>`, else `KONG_<KEY>`. The environment wins over the file, options of the command line win over both. `#` starts a comment, `\\#` is the character. A value `{vault://env/NAME}` is read from the variable NAME, `{vault://env/NAME/key}` from the JSON object in it, and shown nowhere.',
    '',
    'An unknown key in the file stops the start; unknown variables are named in one warning. Times are seconds without a unit, or such as `500ms`, `30s`, `1h30m`; sizes are bytes, or such as `8k`, `1m`, `2g`. Lists are separated by commas. Relative paths start at the working folder, those of logs at the prefix. Settings marked with ↻ are applied by `meridian reload` (SIGHUP), the others at the next start.',
  ]
  for (const { title, settings } of settingSections) {
    lines.push('', `## ${title}`, '', '| setting | form | default | meaning |', '|---|---|---|---|')
    for (const [key, setting] of Object.entries<Setting>(settings)) lines.push(row(key, setting))
  }
  lines.push(
    '',
    "## Kong's settings without meaning here",
    '',
    'Accepted and listed at start, so that an environment made for Kong works.',
    '',
  )
  lines.push('| why | settings |', '|---|---|')
  for (const { reason, keys, patternText } of kongKeysWithoutMeaning) {
    const names = [...(patternText === undefined ? [] : [patternText]), ...keys.map((key) => `\`${key}\``)]
    lines.push(`| ${cell(reason)} | ${names.join(', ')} |`)
  }
  return `${lines.join('\n')}\n`
}

function row(key: string, { kind, default: text, description, aliases, reloadable }: Setting): string {
  const name = `\`${key}\`${reloadable ? ' ↻' : ''}`
  const shown = text === null || text === '' ? '' : `\`${text}\``
  const also = aliases.length === 0 ? '' : ` Also: ${aliases.map((alias) => `\`${alias}\``).join(', ')}.`
  return `| ${[name, cell(kind.form), cell(shown), cell(description + also)].join(' | ')} |`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  return lines
}
