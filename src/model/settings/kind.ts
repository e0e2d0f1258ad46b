/** What a setting's kind promises: it turns the text of a file or an environment variable into a value, or says what it expected. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T; readonly warning?: string }
  /** `at`: the part of the text that is wrong, which is not shown where the text is a secret. */
  | { readonly ok: false; readonly expected: string; readonly hint?: string; readonly at?: string }

/** What a text can depend on besides itself. */
export interface Surroundings {
  /** Absolute; relative paths of files that the operator names start here. */
  readonly workingFolder: string
  /** Absolute; relative paths of files that the gateway makes start here. */
  readonly prefix: string
  /** What `auto` means for the number of workers. */
  readonly cores: number
}

export interface Kind<T> {
  /** The form, as the reference page and messages name it. */
  readonly form: string
  /** How the Admin API shows the value: Kong's types for `configuration`. */
  readonly shape: 'boolean' | 'number' | 'array' | 'text'
  parse(text: string, surroundings: Surroundings): Parsed<T>
}

export function accept<T>(value: T, warning?: string): Parsed<T> {
  return warning === undefined ? { ok: true, value } : { ok: true, value, warning }
}

/** The hint is what follows what came: why, and what to do. */
export function expect(expected: string, hint?: string): Parsed<never> {
  return hint === undefined ? { ok: false, expected } : { ok: false, expected, hint }
}

/** The part `at` of the text is not what was expected. */
export function expectAt(expected: string, at: string): Parsed<never> {
  return { ok: false, expected, at }
}

/** Parts between commas, trimmed, empty ones left out: Kong's form of lists. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
