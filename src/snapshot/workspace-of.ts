/** Which workspace a document of the configuration is in: what is named, or has no scope, means something within one only. */
import { DEFAULT_WORKSPACE, type Change } from '#model/document.ts'

/** Documents of other workspaces than the default one. By the document, which is another object after each change of it. */
const OTHERS = new WeakMap<object, string>()

export function rememberWorkspace({ workspace, document }: Change): void {
  if (document !== null && workspace !== '' && workspace !== DEFAULT_WORKSPACE) OTHERS.set(document, workspace)
}

export function workspaceOf(document: object): string {
  return OTHERS.get(document) ?? DEFAULT_WORKSPACE
}
