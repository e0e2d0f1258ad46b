/**
 * A radix tree of texts that is never changed: putting or removing a text copies the nodes on the way to it and shares all others, so
 * that a change costs as much as the text is long, however large the tree. Inside one `TreeEdit` what was copied already is changed in
 * place, so that building a tree from nothing does not copy. Nodes are in a canonical form: the same texts make the same tree.
 *
 * Texts are latin1 (paths as bytes, hosts), so that a node's children fit into an array indexed by character.
 */

/** Counts what one batch of changes copied, and marks nodes that belong to it. */
export class TreeEdit {
  nodesMade = 0
  #texts = new Map<string, string>()

  /**
   * A text of its own, the same for equal ones: many hosts have the same paths, and a node's label that others have too is likely to be
   * in the processor's cache already. A cut text would keep alive, and be read through, the longer one that it was cut from.
   */
  own(text: string): string {
    let own = this.#texts.get(text)
    // V8 makes a slice of 13 characters and more a view.
    if (own === undefined)
      this.#texts.set(text, (own = text.length < 13 ? text : Buffer.from(text, 'latin1').toString('latin1')))
    return own
  }

  /** Frees what is needed during the batch only: nodes keep the edit that made them. */
  close(): void {
    this.#texts = new Map()
  }
}

/** Of nodes without children, all the same and never changed: one place in memory to look at instead of one for each node. */
const NO_CHILDREN: never[] = []

export class TreeNode<V> {
  /** What this node adds to the text of its parent. */
  label: string
  /** What is kept for the text that ends here. */
  value: V | null
  /** Children by the first character of their label, less `base`; null where there is none. Neither first nor last is null. */
  children: (TreeNode<V> | null)[]
  base: number
  readonly edit: TreeEdit

  constructor(label: string, value: V | null, children: (TreeNode<V> | null)[], base: number, edit: TreeEdit) {
    this.label = label
    this.value = value
    this.children = children
    this.base = base
    this.edit = edit
    edit.nodesMade++
  }
}

export function getFromTree<V>(root: TreeNode<V> | null, text: string): V | null {
  let node = root
  for (let at = 0; node !== null; node = childAt(node, text, at)) {
    if (!text.startsWith(node.label, at)) return null
    at += node.label.length
    if (at === text.length) return node.value
  }
  return null
}

/** The tree in which `text` has `value`, or is not there when `value` is null. */
export function changeTree<V>(
  root: TreeNode<V> | null,
  text: string,
  value: V | null,
  edit: TreeEdit,
): TreeNode<V> | null {
  return value === null ? without(root, text, 0, edit) : withValue(root, text, 0, value, edit)
}

/** The child that goes on with the character at `at`, or null; also null when the text ends there. */
export function childAt<V>(node: TreeNode<V>, text: string, at: number): TreeNode<V> | null {
  if (at >= text.length) return null
  const index = text.charCodeAt(at) - node.base
  return index >= 0 && index < node.children.length ? node.children[index]! : null
}

function withValue<V>(node: TreeNode<V> | null, text: string, at: number, value: V, edit: TreeEdit): TreeNode<V> {
  if (node === null) return leafNode(text, at, value, edit)
  const { label } = node
  let common = 0
  while (
    common < label.length &&
    at + common < text.length &&
    label.charCodeAt(common) === text.charCodeAt(at + common)
  )
    common++
  const next = at + common
  if (common < label.length) {
    const lower = new TreeNode(edit.own(label.slice(common)), node.value, ownChildren(node, edit), node.base, edit)
    const upper = new TreeNode<V>(edit.own(label.slice(0, common)), null, [lower], lower.label.charCodeAt(0), edit)
    if (next === text.length) upper.value = value
    else setChild(upper, text.charCodeAt(next), leafNode(text, next, value, edit))
    return upper
  }
  const own = editable(node, edit)
  if (next === text.length) own.value = value
  else setChild(own, text.charCodeAt(next), withValue(childAt(node, text, next), text, next, value, edit))
  return own
}

function without<V>(node: TreeNode<V> | null, text: string, at: number, edit: TreeEdit): TreeNode<V> | null {
  if (node === null || !text.startsWith(node.label, at)) return node
  const next = at + node.label.length
  const child = childAt(node, text, next)
  const kept = without(child, text, next, edit)
  // A child that stayed the same object has lost nothing, or was changed in place and so was this node before.
  if (next === text.length ? node.value === null : kept === child) return node
  const own = editable(node, edit)
  if (next === text.length) own.value = null
  else setChild(own, text.charCodeAt(next), kept)
  if (own.value !== null || own.children.length > 1) return own
  const [only] = own.children
  if (only === undefined || only === null) return null
  return new TreeNode(edit.own(own.label + only.label), only.value, ownChildren(only, edit), only.base, edit)
}

function leafNode<V>(text: string, at: number, value: V, edit: TreeEdit): TreeNode<V> {
  return new TreeNode(edit.own(text.slice(at)), value, NO_CHILDREN, 0, edit)
}

function editable<V>(node: TreeNode<V>, edit: TreeEdit): TreeNode<V> {
  return node.edit === edit ? node : new TreeNode(node.label, node.value, ownChildren(node, edit), node.base, edit)
}

function ownChildren<V>(node: TreeNode<V>, edit: TreeEdit): (TreeNode<V> | null)[] {
  return node.edit === edit || node.children.length === 0 ? node.children : node.children.slice()
}

/** Sets a child of a node that belongs to the edit, keeping the array without empty ends. */
function setChild<V>(node: TreeNode<V>, code: number, child: TreeNode<V> | null): void {
  if (node.children.length === 0) {
    node.children = []
    node.base = code
  }
  const { children } = node
  while (code < node.base) {
    children.unshift(null)
    node.base--
  }
  while (code - node.base >= children.length) children.push(null)
  children[code - node.base] = child
  while (children.length > 0 && children[children.length - 1] === null) children.pop()
  while (children.length > 0 && children[0] === null) {
    children.shift()
    node.base++
  }
  if (children.length > 0) return
  node.children = NO_CHILDREN
  node.base = 0
}
