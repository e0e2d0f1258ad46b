/** The workspaces of a declarative file: one for the whole file (`_workspace`), or one for each entity (`ws_id`). */
import { nameBasedUuid } from '#core/name-based-uuid.ts'
import type { CheckContext, Model } from '../contract.ts'
import { DEFAULT_WORKSPACE, type Document } from '../document.ts'
import type { Errors } from '../record.ts'
import type { Head } from './format.ts'
import type { Identities } from './identity.ts'
import type { Node } from './nodes.ts'
import { putError } from './problems.ts'

export interface Workspaces {
  /** The workspace of the whole file, when the file names one that it does not declare. */
  readonly made: Document | null
  /** Id of the workspace that the entity is in. */
  readonly idOf: (node: Node) => string
  /** Whether the entity is the default workspace: that is always there and never stored from a file. */
  readonly isDefault: (node: Node) => boolean
}

/** Workspaces that are named but can't be are added to `errors`. */
export function readWorkspaces(
  nodes: readonly Node[],
  identities: Identities,
  { workspace: name }: Head,
  parts: { readonly model: Model; readonly context: CheckContext },
  errors: Errors,
): Workspaces {
  const declared = nodes.filter(({ definition }) => definition.kind === 'workspaces')
  const isDefault = ({ definition, given }: Node): boolean =>
    definition.kind === 'workspaces' && (given['name'] === 'default' || given['id'] === DEFAULT_WORKSPACE)
  const ids = new Map<string, string>([[DEFAULT_WORKSPACE, DEFAULT_WORKSPACE]])
  for (const node of declared) {
    const { id } = identities.of.get(node)!
    ids.set(id, isDefault(node) ? DEFAULT_WORKSPACE : id)
  }
  for (const { workspace, path } of nodes) {
    if (workspace === null || ids.has(workspace)) continue
    putError(errors, [...path, 'ws_id'], `invalid reference 'ws_id: ${workspace}' (no such entry in 'workspaces')`)
  }
  const { id: ofFile, made } = fileWorkspace(
    name,
    declared.find(({ given }) => given['name'] === name),
    identities,
    parts,
    errors,
  )
  return { made, isDefault, idOf: ({ workspace }) => (workspace === null ? ofFile : (ids.get(workspace) ?? workspace)) }
}

/** Name space of the ids of workspaces that only `_workspace` names; fixed for ever. */
const NAMESPACE = 'b3c0f7f2-9a55-5f0e-8f0c-6f3f5d0f2a11'

function fileWorkspace(
  name: string | null,
  declared: Node | undefined,
  { of }: Identities,
  { model, context }: { readonly model: Model; readonly context: CheckContext },
  errors: Errors,
): { readonly id: string; readonly made: Document | null } {
  if (name === null) return { id: DEFAULT_WORKSPACE, made: null }
  if (declared !== undefined) return { id: of.get(declared)!.id, made: null }
  const made = model.check('workspaces', { id: nameBasedUuid(NAMESPACE, name), name }, context)
  if (made.ok) return { id: made.document.id, made: made.document }
  errors['_workspace'] = made.fields['name']
  return { id: DEFAULT_WORKSPACE, made: null }
}
