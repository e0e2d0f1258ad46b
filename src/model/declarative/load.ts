/** Loads a declarative file: everything in it as complete, checked documents, or everything that is wrong with it. */
import type { CheckContext, FieldErrors, Model } from '../contract.ts'
import type { Document } from '../document.ts'
import type { Fields } from '../field.ts'
import { isRecord, type Errors, type Values } from '../record.ts'
import { invalidDeclarativeConfig, type Refusal } from '../refusal.ts'
import { readHead, type Head } from './format.ts'
import { identify, inReferenceOrder, type Identity } from './identity.ts'
import { collectNodes, type Node } from './nodes.ts'
import { asFieldErrors, messagesOf, problemAt, putError, type Problem } from './problems.ts'
import { parsedSource, parseSource, type Locate } from './source.ts'
import { findClashes } from './unique.ts'
import { readWorkspaces, type Workspaces } from './workspaces.ts'

export interface DeclarativeInput {
  /** YAML or JSON text. */
  readonly text?: string
  /** The same, parsed already; then there are no lines to name. */
  readonly value?: unknown
  /** Name of the file, for messages. */
  readonly file?: string
}

export interface LoadOptions {
  readonly model: Model
  readonly context: CheckContext
  /** Looks up what is stored under an id: what the gateway once made up (keys, secrets, times) is kept from it. */
  readonly current?: (kind: string, id: string) => Document | undefined
}

/** One entity, ready to be stored. */
export interface Entry {
  readonly kind: string
  /** '' for kinds that are in no workspace. */
  readonly workspace: string
  readonly document: Document
}

export interface LoadFailure {
  readonly ok: false
  /** Everything that is wrong, in the order of the file where it has lines. */
  readonly problems: readonly Problem[]
  /** Kong's answer. */
  readonly refusal: Refusal
  /** What is wrong with single entities, for `flattenErrors`. */
  readonly entities: readonly { readonly node: Node; readonly errors: FieldErrors }[]
}

/** Entries stand after those that they point to. */
export type Loaded = { readonly ok: true; readonly entries: readonly Entry[] } | LoadFailure

export function loadDeclarative(input: DeclarativeInput, options: LoadOptions): Loaded {
  const file = input.file ?? null
  const source = input.text === undefined ? parsedSource(input.value) : parseSource(input.text)
  if (!source.ok) {
    const problems = source.errors.map(({ message, position }) => problemAt(file, () => position, [], message))
    const texts = problems.map(({ line, message }) => (line === null ? message : `${line}: ${message}`))
    return failure(problems, { error: `failed parsing declarative configuration: ${texts.join('; ')}` }, [])
  }
  if (!isRecord(source.value))
    return failure([problemAt(file, source.locate, [], 'expected an object')], { error: 'expected an object' }, [])
  return loadRoot(source.value, { ...options, file, locate: source.locate })
}

interface Loading extends LoadOptions {
  readonly file: string | null
  readonly locate: Locate
}

function loadRoot(root: Readonly<Values>, loading: Loading): Loaded {
  const { model } = loading
  const tree: Errors = {}
  const head = readHead(root, tree)
  const nodes = collectNodes(root, head, model, tree)
  const identities = identify(nodes, model.entities, head.workspace)
  const workspaces = readWorkspaces(nodes, identities, head, loading, tree)
  const problems = [...messagesOf(tree, [])]
  const documents = new Map<Node, Document>()
  const entities: { node: Node; errors: FieldErrors }[] = []
  const refuse = (node: Node, errors: FieldErrors): void => {
    entities.push({ node, errors })
    problems.push(...messagesOf(errors, node.path))
    putError(tree, node.path, errors)
  }
  for (const node of nodes) {
    if (workspaces.isDefault(node)) continue
    const checked = checkNode(node, identities.of.get(node)!, head, loading)
    if (checked.ok) documents.set(node, checked.document)
    else refuse(node, checked.fields)
  }
  problems.push(...identities.problems)
  const duplicates = identities.duplicates
  // Names and ids that are taken twice are told already.
  if (Object.keys(duplicates).length === 0) {
    for (const { node, message } of findClashes(documents)) {
      putError(duplicates, [node.definition.kind, node.index], message)
      problems.push({ path: node.path, message })
    }
  }
  if (problems.length > 0) {
    // Kong looks for the next kind of mistake only when there is none of the one before; people are told all of them.
    const fields = [tree, duplicates, identities.dangling].find((errors) => Object.keys(errors).length > 0)!
    const placed = problems.map(({ path, message }) => problemAt(loading.file, loading.locate, path, message))
    return failure(placed.toSorted(byPlace), asFieldErrors(fields), entities)
  }
  return { ok: true, entries: entriesOf(documents, workspaces, model) }
}

function failure(problems: readonly Problem[], fields: FieldErrors, entities: LoadFailure['entities']): LoadFailure {
  return { ok: false, problems, refusal: invalidDeclarativeConfig(fields), entities }
}

function byPlace(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
}

/** Stands for a reference that leads nowhere, so that the rest of the entity can be judged. */
const SOME_ID = '00000000-0000-0000-0000-000000000000'

function checkNode(node: Node, { id, references }: Identity, head: Head, { model, context, current }: Loading) {
  const { definition, given, parent } = node
  const stored = current?.(definition.kind, id)
  const input = stored === undefined ? { ...given } : withKept(model.fieldsOf(definition.kind, stored), given, stored)
  if (given['id'] === undefined || given['id'] === null) input['id'] = id
  for (const [field, { type }] of Object.entries(definition.fields)) {
    if (type !== 'foreign') continue
    const target = references.get(field)
    if (target !== undefined) input[field] = { id: target }
    else if (typeof given[field] === 'string' || parent?.field === field) input[field] = { id: SOME_ID }
    else if (isRecord(given[field]) && Object.keys(given[field]).length > 0 && given[field]['id'] === undefined)
      input[field] = { id: SOME_ID }
  }
  return model.check(definition.kind, input, { ...context, keepsTimes: true, transforms: head.transforms })
}

/** What was made up when the entity was first stored and is not given now; also inside its records. */
function withKept(fields: Fields, given: Readonly<Values>, stored: Readonly<Values>): Values {
  const kept: Values = {}
  for (const [name, field] of Object.entries(fields)) {
    const value = given[name]
    const before = stored[name]
    if (field.auto === true && name !== 'updated_at') {
      if (value === undefined && before !== undefined) kept[name] = before
    } else if (
      field.type === 'record' &&
      field.fields !== undefined &&
      isRecord(before) &&
      (value === undefined || isRecord(value))
    ) {
      const inner = withKept(field.fields, value ?? {}, before)
      if (Object.keys(inner).length > 0) kept[name] = inner
    }
  }
  return { ...given, ...kept }
}

function entriesOf(documents: ReadonlyMap<Node, Document>, { made, idOf }: Workspaces, model: Model): Entry[] {
  const byKind = Map.groupBy(documents, ([{ definition }]) => definition.kind)
  const entries = inReferenceOrder(model.entities).flatMap(({ kind, workspaceable }) =>
    (byKind.get(kind) ?? []).map(([node, document]) => ({
      kind,
      workspace: workspaceable === true ? idOf(node) : '',
      document,
    })),
  )
  return made === null ? entries : [{ kind: 'workspaces', workspace: '', document: made }, ...entries]
}
