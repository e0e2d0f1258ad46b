/**
 * Settings from the file, the environment and the command line to one checked object, or every problem at once. Pure: the
 * caller reads the file. Later layers win: default, file, `KONG_*`, `MERIDIAN_*`, command line.
 */
import { nearestName } from '#core/nearest.ts'
import { settings as definitions, type SettingKey, type Settings } from '../settings.ts'
import { checkSettings } from './checks.ts'
import { isServiceLink, readEnvironment } from './environment.ts'
import { parseSettingsFile } from './file.ts'
import { kongKeysWithoutMeaning, reasonWithoutMeaning } from './kong-keys.ts'
import type { Surroundings } from './kind.ts'
import { openReference } from './reference-value.ts'

export interface SettingsInput {
  /** Null when there is none. The path is what messages name. */
  readonly file: { readonly path: string; readonly text: string } | null
  readonly environment: Readonly<Record<string, string | undefined>>
  /** From the command line. */
  readonly overrides: Readonly<Record<string, string>>
  /** Absolute. */
  readonly workingFolder: string
  readonly cores: number
}

export interface ReadSettings {
  readonly ok: true
  readonly settings: Settings
  /** As given or by default, in the form of the file. */
  readonly texts: ReadonlyMap<string, string | null>
  /** What is degraded or probably not meant; each is a sentence for the log. */
  readonly warnings: readonly string[]
  /** Kong's keys that were given and change nothing here, sorted. */
  readonly withoutMeaning: readonly string[]
}

export type SettingsResult = ReadSettings | { readonly ok: false; readonly problems: readonly string[] }

export function readSettings(input: SettingsInput): SettingsResult {
  const reading = new Reading(input)
  reading.readFile()
  reading.readEnvironment()
  reading.readOverrides()
  return reading.finish()
}

/** A value with where it came from. */
interface Given {
  readonly text: string
  /** The key or variable as the operator wrote it. */
  readonly name: string
  /** What a message about it starts with: `meridian.conf:12: proxy_listen`, `MERIDIAN_PROXY_LISTEN`. */
  readonly place: string
  /** In the file; Infinity for other places. */
  readonly line: number
}

interface Problem {
  /** In the file; Infinity for other places. */
  readonly line: number
  readonly text: string
}

type Layer = Map<string, Given>

const keyOfAlias: ReadonlyMap<string, string> = new Map(
  [...definitions].flatMap(([key, { aliases }]) => aliases.map((alias) => [alias, key] as const)),
)

class Reading {
  readonly #input: SettingsInput
  readonly #given: Layer = new Map()
  readonly #problems: Problem[] = []
  readonly #warnings: string[] = []
  readonly #withoutMeaning = new Set<string>()

  constructor(input: SettingsInput) {
    this.#input = input
  }

  readFile(): void {
    const { file } = this.#input
    if (file === null) return
    const { entries, problems } = parseSettingsFile(file.text)
    for (const { line, message } of problems) this.#problems.push({ line, text: `${file.path}:${line}: ${message}` })
    const layer: Layer = new Map()
    for (const { key, value, line } of entries) {
      const isKnown = this.#take(layer, key, { text: value, name: key, place: `${file.path}:${line}: ${key}`, line })
      if (isKnown) continue
      this.#problems.push({ line, text: `${file.path}:${line}: unknown key '${key}'${suggestion(key)}` })
    }
    this.#merge(layer)
  }

  readEnvironment(): void {
    const entries = readEnvironment(this.#input.environment)
    // The variable that holds the keyring may be called MERIDIAN_KEYRING; it is named by a setting and is none itself.
    const keyringVariables = entries.filter(({ key }) => key === 'keyring_env').map(({ value }) => value)
    const unknown: string[] = []
    for (const prefix of ['KONG_', 'MERIDIAN_']) {
      const layer: Layer = new Map()
      for (const entry of entries) {
        const { key, value, variable } = entry
        if (!variable.startsWith(prefix) || keyringVariables.includes(variable)) continue
        const isKnown = this.#take(layer, key, { text: value, name: variable, place: variable, line: Infinity })
        if (!isKnown && !isServiceLink(entry)) unknown.push(`${variable}${suggestion(key, prefix)}`)
      }
      this.#merge(layer)
    }
    if (unknown.length > 0) this.#warnings.push(`unknown settings in the environment: ${unknown.toSorted().join(', ')}`)
  }

  readOverrides(): void {
    const layer: Layer = new Map()
    for (const [key, text] of Object.entries(this.#input.overrides)) {
      const given = { text, name: key, place: `command line: ${key}`, line: Infinity }
      if (this.#take(layer, key, given)) continue
      this.#problems.push({ line: Infinity, text: `command line: unknown key '${key}'${suggestion(key)}` })
    }
    this.#merge(layer)
  }

  finish(): SettingsResult {
    const values: Record<string, unknown> = {}
    const texts = new Map<string, string | null>()
    const surroundings = { workingFolder: this.#input.workingFolder, prefix: '', cores: this.#input.cores }
    // Paths below the prefix need it first.
    this.#parse('prefix', surroundings, values, texts)
    if (typeof values['prefix'] === 'string') surroundings.prefix = values['prefix']
    for (const key of definitions.keys()) if (key !== 'prefix') this.#parse(key, surroundings, values, texts)
    if (this.#problems.length > 0) return { ok: false, problems: inOrder(this.#problems) }

    const settings = values as unknown as Settings
    const isGiven = (key: SettingKey): boolean => this.#given.has(key)
    const { problems, warnings } = checkSettings(settings, isGiven, (key) => this.#given.get(key)?.place ?? key)
    if (problems.length > 0) return { ok: false, problems }
    return {
      ok: true,
      settings: freeze(settings),
      texts,
      warnings: [...this.#warnings, ...warnings],
      withoutMeaning: [...this.#withoutMeaning].toSorted(),
    }
  }

  #parse(
    key: string,
    surroundings: Surroundings,
    values: Record<string, unknown>,
    texts: Map<string, string | null>,
  ): void {
    const definition = definitions.get(key)!
    const given = this.#given.get(key)
    const { place, line } = given ?? { place: key, line: Infinity }
    const text: string | null = given === undefined || given.text === '' ? definition.default : given.text
    texts.set(key, text)
    if (text === null) {
      values[key] = null
      return
    }
    const opened = openReference(text, this.#input.environment)
    if (!opened.ok) {
      this.#problems.push({ line, text: `${place}: ${opened.problem}` })
      return
    }
    const parsed = definition.kind.parse(opened.text, surroundings)
    // What a reference leads to is a secret wherever it stands; a hint may repeat it.
    const isShown = !definition.secret && !opened.isReferred
    if (!parsed.ok) {
      const came = opened.isReferred ? `what ${text} leads to` : isShown ? quote(text) : 'something else'
      const hint = parsed.hint === undefined || !isShown ? '' : `; ${parsed.hint}`
      const at = parsed.at === undefined || !isShown ? '' : ` (at '${parsed.at}')`
      this.#problems.push({ line, text: `${place}: expected ${parsed.expected}${at}, got ${came}${hint}` })
      return
    }
    if (parsed.warning !== undefined) this.#warnings.push(`${place}: ${parsed.warning}`)
    values[key] = parsed.value
  }

  /** Puts a value into its layer under its own name; false when nobody knows the key. */
  #take(layer: Layer, key: string, given: Given): boolean {
    const own = definitions.has(key) ? key : keyOfAlias.get(key)
    if (own === undefined) {
      if (reasonWithoutMeaning(key) === null) return false
      this.#withoutMeaning.add(given.name)
      return true
    }
    const other = layer.get(own)
    if (other !== undefined && other.text !== given.text) {
      const wins = own === key ? given : other
      this.#warnings.push(`${other.name} and ${given.name} are one setting with different values; ${wins.name} counts`)
      if (wins === other) return true
    }
    layer.set(own, given)
    return true
  }

  #merge(layer: Layer): void {
    for (const [key, given] of layer) this.#given.set(key, given)
  }
}

function suggestion(key: string, prefix = ''): string {
  const plain = key.toLowerCase().replace(/^(meridian|kong)_/, '')
  const known = [...definitions.keys(), ...keyOfAlias.keys(), ...kongKeysWithoutMeaning.flatMap(({ keys }) => keys)]
  const nearest = known.includes(plain) ? plain : nearestName(plain, known)
  if (nearest === null) return ''
  return ` (did you mean ${prefix === '' ? nearest : `${prefix}${nearest.toUpperCase()}`}?)`
}

/** Those of the file by line, then the others. */
function inOrder(problems: readonly Problem[]): string[] {
  return problems.toSorted((a, b) => (a.line === b.line ? 0 : a.line - b.line)).map(({ text }) => text)
}

const SHOWN_LENGTH = 120

function quote(text: string): string {
  const short = text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text
  // JSON escapes line breaks and control characters, so that a value can't forge lines of a log.
  return `'${JSON.stringify(short).slice(1, -1).replaceAll('\\"', '"')}'`
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) freeze(part)
  }
  return value
}
