/** What is wrong in a declarative file: as lines for people, and as the tree that Kong answers. */
import type { FieldErrors } from '../contract.ts'
import { define, isRecord, own, type Errors } from '../record.ts'
import type { Locate, Path } from './source.ts'

export interface Problem {
  readonly file: string | null
  /** From 1; null where the text has no place for it. */
  readonly line: number | null
  readonly column: number | null
  /** `services[0].routes[1].paths[0]`, '' for the whole file. */
  readonly path: string
  readonly message: string
}

/** `file:line: path: message`, as far as each is known. */
export function describeProblem({ file, line, path, message }: Problem): string {
  const place = [file, line].filter((part) => part !== null).join(':')
  return [place, path, message].filter((part) => part !== '').join(': ')
}

export function formatPath(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  )
}

/** Every message below `error` with its path; what is wrong with a whole entity (`@entity`) has the entity's own path. */
export function* messagesOf(error: unknown, path: Path): Generator<{ readonly path: Path; readonly message: string }> {
  if (typeof error === 'string') yield { path, message: error }
  else if (Array.isArray(error)) {
    for (const [index, item] of error.entries()) if (item !== null) yield* messagesOf(item, [...path, index])
  } else if (isRecord(error)) {
    for (const [name, item] of Object.entries(error)) {
      if (name === '@entity' && Array.isArray(item))
        for (const message of item) yield { path, message: String(message) }
      else yield* messagesOf(item, [...path, name])
    }
  }
}

export function problemAt(file: string | null, locate: Locate, path: Path, message: string): Problem {
  const position = locate(path)
  return { file, line: position?.line ?? null, column: position?.column ?? null, path: formatPath(path), message }
}

/** Puts an error into the tree, in lists after nulls; fields that have one already are added to. */
export function putError(tree: Errors, path: Path, error: unknown): void {
  let at: any = tree
  for (const [i, step] of path.entries()) {
    const isLast = i === path.length - 1
    if (Array.isArray(at)) while (at.length <= Number(step)) at.push(null)
    const below: unknown = Array.isArray(at) ? at[Number(step)] : own(at as Errors, String(step))
    let next: unknown
    if (!isLast) next = below ?? (typeof path[i + 1] === 'number' ? [] : {})
    // A copy: what is inside the entity adds its own errors to the tree later.
    else next = isRecord(below) && isRecord(error) ? { ...below, ...error } : structuredClone(error)
    if (Array.isArray(at)) at[Number(step)] = next
    else define(at, String(step), next)
    at = next
  }
}

export function asFieldErrors(tree: Errors): FieldErrors {
  return tree as FieldErrors
}
