/** Finds the path of a document that a request is for: a tree of segments, in which fixed text comes before parameters. */
import { normalizePath } from '#core/normal-path.ts'
import { toWire } from '#pdk/wire-text.ts'
import type { PathValues } from '../parameters.ts'
import { DocumentProblem } from './document.ts'

interface TreeNode<T> {
  readonly fixed: Map<string, TreeNode<T>>
  readonly templates: { readonly template: Template; readonly next: TreeNode<T> }[]
  end: { readonly value: T; readonly templates: readonly (Template | null)[] } | null
}

/** A segment with one parameter: `{id}`, `report.{format}`. */
interface Template {
  readonly text: string
  readonly prefix: string
  readonly name: string
  readonly suffix: string
}

export interface PathMatch<T> {
  readonly value: T
  readonly pathValue: PathValues
}

/** Segments of paths that are looked at; longer ones are of no document. */
const SEGMENTS_MAX = 64

export class PathTree<T> {
  readonly #root: TreeNode<T> = emptyNode()

  /** @throws {DocumentProblem} for a template that is none, or a path that is there in other words */
  add(path: string, value: T, at: string): void {
    if (!path.startsWith('/')) throw new DocumentProblem(at, "expected a path that begins with '/'")
    const templates: (Template | null)[] = []
    let node = this.#root
    for (const segment of wirePath(path).slice(1).split('/')) {
      const template = templateOf(segment, at)
      templates.push(template)
      node = template === null ? childOf(node, segment) : templateChild(node, template)
    }
    if (node.end !== null) throw new DocumentProblem(at, 'another path matches the same requests')
    node.end = { value, templates }
  }

  /** The value of the path, and what its parameters are in the request. */
  find(path: string): PathMatch<T> | null {
    const segments = path.slice(1).split('/')
    if (!path.startsWith('/') || segments.length > SEGMENTS_MAX) return null
    const end = search(this.#root, segments, 0)
    if (end === null) return null
    return { value: end.value, pathValue: (name) => valueIn(segments, end.templates, name) }
  }
}

function search<T>(node: TreeNode<T>, segments: readonly string[], at: number): TreeNode<T>['end'] {
  if (at === segments.length) return node.end
  const segment = segments[at]!
  const fixed = node.fixed.get(segment)
  if (fixed !== undefined) {
    const found = search(fixed, segments, at + 1)
    if (found !== null) return found
  }
  for (const { template, next } of node.templates) {
    if (!takes(template, segment)) continue
    const found = search(next, segments, at + 1)
    if (found !== null) return found
  }
  return null
}

/** A parameter is never empty: the path would be another one. */
function takes({ prefix, suffix }: Template, segment: string): boolean {
  return segment.length > prefix.length + suffix.length && segment.startsWith(prefix) && segment.endsWith(suffix)
}

function valueIn(segments: readonly string[], templates: readonly (Template | null)[], name: string): string | null {
  const at = templates.findIndex((template) => template?.name === name)
  if (at < 0) return null
  const { prefix, suffix } = templates[at]!
  const segment = segments[at]!
  return segment.slice(prefix.length, segment.length - suffix.length)
}

function templateOf(segment: string, at: string): Template | null {
  if (!/[{}]/.test(segment)) return null
  const found = /^([^{}]*)\{([^{}]+)\}([^{}]*)$/.exec(segment)
  if (found === null) throw new DocumentProblem(at, `expected at most one {parameter} in a segment, got ${segment}`)
  const [, prefix = '', name = '', suffix = ''] = found
  return { text: `${prefix}{}${suffix}`, prefix, name, suffix }
}

function templateChild<T>(node: TreeNode<T>, template: Template): TreeNode<T> {
  const known = node.templates.find((one) => one.template.text === template.text)
  if (known !== undefined) return known.next
  const next = emptyNode<T>()
  node.templates.push({ template, next })
  // The one that says more comes first.
  node.templates.sort((a, b) => b.template.text.length - a.template.text.length)
  return next
}

function childOf<T>(node: TreeNode<T>, segment: string): TreeNode<T> {
  const known = node.fixed.get(segment)
  if (known !== undefined) return known
  const next = emptyNode<T>()
  node.fixed.set(segment, next)
  return next
}

function emptyNode<T>(): TreeNode<T> {
  return { fixed: new Map(), templates: [], end: null }
}

/** A path of a document in the form in which requests have theirs. */
export function wirePath(path: string): string {
  return toWire(normalizePath(path))
}
