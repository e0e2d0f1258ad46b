/** Reads the text of a declarative file, and finds the line of what is wrong in it. */
import { isMap, isSeq, LineCounter, parseDocument, type Document as YamlDocument, type ScalarTag } from 'yaml'

/** Steps from the root of the file: names, and indexes from 0. */
export type Path = readonly (string | number)[]

export interface Position {
  /** From 1. */
  readonly line: number
  readonly column: number
}

/** The place of a value; of what should hold it when it is not there. */
export type Locate = (path: Path) => Position | null

export type Source =
  | { readonly ok: true; readonly value: unknown; readonly locate: Locate }
  | { readonly ok: false; readonly errors: readonly { readonly message: string; readonly position: Position | null }[] }

/** YAML 1.2, with the merge keys and the `yes`/`no` of YAML 1.1, which Kong's files may use; JSON is read by the faster parser. */
export function parseSource(text: string): Source {
  if (/^\s*\{/.test(text)) {
    try {
      const value: unknown = JSON.parse(text)
      if (isDeeperThan(value, MAX_DEPTH)) return tooDeep
      let parsed: ReturnType<typeof parseYaml> | null = null
      // Positions are wanted only when something is wrong.
      return { ok: true, value, locate: (path) => locator((parsed ??= parseYaml(text)))(path) }
    } catch {
      // No JSON: flow style of YAML, or a mistake that the YAML parser places.
    }
  }
  const parsed = attemptYaml(text)
  if (parsed === null) return tooDeep
  const { document, lines } = parsed
  // The parser may catch the exhausted stack itself and report it like a mistake in the text.
  if (document.errors.some(({ message }) => message.includes('call stack size'))) return tooDeep
  if (document.errors.length > 0) {
    return {
      ok: false,
      errors: document.errors.map(({ message, pos: [at] }) => ({ message, position: positionOf(lines, at) })),
    }
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES })
    return isDeeperThan(value, MAX_DEPTH) ? tooDeep : { ok: true, value, locate: locator(parsed) }
  } catch (error) {
    if (error instanceof RangeError) return tooDeep
    // Aliases that expand too far, or to nothing.
    return { ok: false, errors: [{ message: (error as Error).message, position: null }] }
  }
}

/** A value that was parsed by somebody else: it has no lines. */
export function parsedSource(value: unknown): Source {
  return isDeeperThan(value, MAX_DEPTH) ? tooDeep : { ok: true, value, locate: () => null }
}

/** No configuration is nested nearly as deep; what is deeper only serves to exhaust the stack. */
const MAX_DEPTH = 100
const tooDeep: Source = { ok: false, errors: [{ message: `nested deeper than ${MAX_DEPTH} levels`, position: null }] }

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  return Object.values(value).some((item) => isDeeperThan(item, levels - 1))
}

/** Null when the text is nested so deep that the parser runs out of stack. */
function attemptYaml(text: string): ParsedYaml | null {
  try {
    return parseYaml(text)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** A file may repeat an anchor often, but not grow by it beyond measure. */
const MAX_ALIASES = 1000

const YES_NO: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  test: /^(?:yes|Yes|YES|on|On|ON|no|No|NO|off|Off|OFF)$/,
  resolve: (text) => /^(?:y|on)/i.test(text),
}

interface ParsedYaml {
  readonly document: YamlDocument.Parsed
  readonly lines: LineCounter
}

function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    prettyErrors: false,
    customTags: (tags) => [...tags, YES_NO],
  })
  return { document, lines }
}

function positionOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

function locator({ document, lines }: ParsedYaml): Locate {
  return (path) => {
    let node: unknown = document.contents
    let at: number | null = rangeStart(node)
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => String(key) === String(step))
        if (pair === undefined) break
        at = rangeStart(pair.key) ?? at
        node = pair.value
      } else if (isSeq(node)) {
        node = node.items[Number(step)]
        if (node === undefined) break
        at = rangeStart(node) ?? at
      } else break
    }
    return at === null ? null : positionOf(lines, at)
  }
}

function rangeStart(node: unknown): number | null {
  const range = (node as { range?: readonly number[] | null } | null)?.range
  return range?.[0] ?? null
}
