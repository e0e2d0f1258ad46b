/** The settings file: lines of `key = value`, `#` starts a comment (`\#` is the character), as in kong.conf. */
export interface FileLine {
  readonly key: string
  readonly value: string
  /** From 1. */
  readonly line: number
}

export interface LineProblem {
  readonly line: number
  readonly message: string
}

export interface ParsedFile {
  readonly entries: readonly FileLine[]
  readonly problems: readonly LineProblem[]
}

export function parseSettingsFile(text: string): ParsedFile {
  const entries: FileLine[] = []
  const problems: LineProblem[] = []
  const lines = new Map<string, number>()
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = index + 1
    const content = withoutComment(raw).trim()
    if (content === '') continue
    const at = content.indexOf('=')
    const key = at < 0 ? content : content.slice(0, at).trim()
    const earlier = lines.get(key)
    // What stands on the line is not repeated beyond its key: it may be a secret.
    if (at < 0) problems.push({ line, message: "expected 'key = value'" })
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
      problems.push({ line, message: "expected a key of letters, digits and _ before '='" })
    else if (earlier !== undefined)
      problems.push({ line, message: `${key}: expected once, but line ${earlier} has it too` })
    else {
      lines.set(key, line)
      entries.push({ key, value: content.slice(at + 1).trim(), line })
    }
  }
  return { entries, problems }
}

function withoutComment(line: string): string {
  const at = line.search(/(?<!\\)#/)
  return (at < 0 ? line : line.slice(0, at)).replaceAll('\\#', '#')
}
