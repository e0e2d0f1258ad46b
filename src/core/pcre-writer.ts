/** Writes a parsed expression as source for V8 or RE2, which agree on everything that is written here. */
import { complementOf, intersects, onlyMember, unionOf, type CharSet } from './char-set.ts'
import type { RegexNode } from './pcre-parser.ts'

export interface WriteOptions {
  readonly dialect: 'v8' | 're2'
  /** Write counted repetitions out: V8's linear engine takes no count over 16, but it takes sixty optional items. */
  readonly unroll: boolean
}

/** Source longer than this is not worth compiling; a count of a count gets there fast. */
const MAX_SOURCE = 20_000

/** The source, or why it cannot be written. */
export function writeRegex(
  root: RegexNode,
  options: WriteOptions,
): { readonly source: string } | { readonly reason: string } {
  const relaxed = relax(root, END)
  if (relaxed === null)
    return {
      reason: 'a possessive quantifier or atomic group changes what matches here and cannot be matched in linear time',
    }
  // RE2 has look-behind too, but what V8's engine left over is look-ahead, or a count that is not in it.
  if (options.dialect === 're2' && has(relaxed, 'look'))
    return { reason: 'look-around cannot be matched in linear time' }
  const source = write(relaxed, options)
  return source.length > MAX_SOURCE ? { reason: `its counted repetitions are too large` } : { source }
}

/** The text that every match begins with; '' when that is not certain. */
export function literalPrefix(root: RegexNode): string {
  return prefixOf(root).text
}

function write(node: RegexNode, options: WriteOptions): string {
  switch (node.type) {
    case 'set':
      return writeSet(node.set, options)
    case 'sequence':
      return node.items
        .map((item) => (item.type === 'choice' ? `(?:${write(item, options)})` : write(item, options)))
        .join('')
    case 'choice':
      return node.branches.map((branch) => write(branch, options)).join('|')
    case 'group':
      return `(${write(node.item, options)})`
    case 'look':
      return `${node.opening}${write(node.item, options)})`
    case 'atomic':
      return `(?:${write(node.item, options)})`
    case 'assert':
      return { start: '^', end: '$', boundary: '\\b', 'no-boundary': '\\B' }[node.what]
    case 'repeat':
      return writeRepeat(node, options)
  }
}

function writeRepeat(node: RegexNode & { type: 'repeat' }, options: WriteOptions): string {
  const { item, min, max } = node
  const inner = write(item, options)
  const atom = item.type === 'set' || item.type === 'group' ? inner : `(?:${inner})`
  const lazy = node.mode === 'lazy' ? '?' : ''
  if (min === 0 && max === Infinity) return `${atom}*${lazy}`
  if (min === 1 && max === Infinity) return `${atom}+${lazy}`
  if (min === 0 && max === 1) return `${atom}?${lazy}`
  if (!options.unroll || has(item, 'group'))
    return `${atom}{${min}${max === min ? '' : `,${max === Infinity ? '' : max}`}}${lazy}`
  const copies = max === Infinity ? min + 1 : max
  // Longer than the limit in any case: not built at all, or a count of 65,535 would be.
  if (atom.length * copies > MAX_SOURCE) return 'x'.repeat(MAX_SOURCE + 1)
  if (max === Infinity) return `${atom.repeat(min)}${atom}*${lazy}`
  // Optional items are nested, so that failing costs one try for each and not one for each combination.
  const optional = max - min
  return atom.repeat(min) + `(?:${atom}`.repeat(optional) + `)?${lazy}`.repeat(optional)
}

function writeSet(set: CharSet, { dialect }: WriteOptions): string {
  const single = onlyMember(set)
  if (single >= 0) return writeCode(single, dialect)
  // Neither dialect has an agreed form of the empty class; no character is outside of all.
  if (set.length === 0) return `[^${writeCode(0, dialect)}-${writeCode(0xffff, dialect)}]`
  const inverse = complementOf(set)
  const isInverse = inverse.length > 0 && inverse.length < set.length
  let text = ''
  const ranges = isInverse ? inverse : set
  for (let i = 0; i < ranges.length; i += 2) {
    text += writeCode(ranges[i]!, dialect)
    if (ranges[i + 1]! > ranges[i]!) text += `-${writeCode(ranges[i + 1]!, dialect)}`
  }
  return `[${isInverse ? '^' : ''}${text}]`
}

/** Letters and digits as they are, everything else escaped: valid inside and outside of classes. */
function writeCode(code: number, dialect: 'v8' | 're2'): string {
  const character = String.fromCharCode(code)
  if (/[A-Za-z0-9_]/.test(character)) return character
  return dialect === 'v8' ? `\\u${code.toString(16).padStart(4, '0')}` : `\\x{${code.toString(16)}}`
}

function has(node: RegexNode, type: 'group' | 'look'): boolean {
  if (node.type === type) return true
  switch (node.type) {
    case 'sequence':
      return node.items.some((item) => has(item, type))
    case 'choice':
      return node.branches.some((branch) => has(branch, type))
    case 'repeat':
    case 'atomic':
    case 'group':
    case 'look':
      return has(node.item, type)
    default:
      return false
  }
}

/** What may come first in the text that a node, or all that follows one, matches. */
interface First {
  readonly set: CharSet
  /** It may match nothing, so that what follows comes first. */
  readonly isNullable: boolean
  /** It begins with a condition about its surroundings. */
  readonly isConditional: boolean
}

const END: First = { set: [], isNullable: false, isConditional: false }

/**
 * Possessive quantifiers made greedy where that changes nothing: where a shorter run could not be continued anyway, because what follows
 * begins with other characters. Null where it would change what matches.
 */
function relax(node: RegexNode, follow: First): RegexNode | null {
  switch (node.type) {
    case 'set':
    case 'assert':
      return node
    case 'sequence': {
      const items: RegexNode[] = []
      let after = follow
      for (let i = node.items.length - 1; i >= 0; i--) {
        const item = relax(node.items[i]!, after)
        if (item === null) return null
        items.unshift(item)
        after = followedBy(firstOf(item), after)
      }
      return { type: 'sequence', items }
    }
    case 'choice': {
      const branches: RegexNode[] = []
      for (const branch of node.branches) {
        const relaxed = relax(branch, follow)
        if (relaxed === null) return null
        branches.push(relaxed)
      }
      return { type: 'choice', branches }
    }
    case 'repeat': {
      if (node.mode === 'possessive') {
        if (node.item.type !== 'set' || follow.isConditional || intersects(node.item.set, follow.set)) return null
        return { ...node, mode: 'greedy' }
      }
      const first = firstOf(node.item)
      const item = relax(node.item, node.max > 1 ? followedBy({ ...first, isNullable: true }, follow) : follow)
      return item === null ? null : { ...node, item }
    }
    case 'atomic': {
      if (node.item.type === 'repeat') return relax({ ...node.item, mode: 'possessive' }, follow)
      return hasOneWay(node.item) ? node.item : null
    }
    case 'group':
    case 'look': {
      const item = relax(node.item, node.type === 'group' ? follow : { ...END, isConditional: true })
      return item === null ? null : { ...node, item }
    }
  }
}

function firstOf(node: RegexNode): First {
  switch (node.type) {
    case 'set':
      return { set: node.set, isNullable: false, isConditional: false }
    case 'assert':
      // At the end nothing follows, so that no character can.
      return node.what === 'end' ? END : { set: [], isNullable: true, isConditional: true }
    case 'look':
      return { set: [], isNullable: true, isConditional: true }
    case 'sequence':
      return node.items.reduceRight<First>((after, item) => followedBy(firstOf(item), after), {
        ...END,
        isNullable: true,
      })
    case 'choice': {
      const firsts = node.branches.map(firstOf)
      return {
        set: unionOf(...firsts.map((first) => first.set)),
        isNullable: firsts.some((first) => first.isNullable),
        isConditional: firsts.some((first) => first.isConditional),
      }
    }
    case 'repeat': {
      const first = firstOf(node.item)
      return node.min === 0 ? { ...first, isNullable: true } : first
    }
    case 'group':
    case 'atomic':
      return firstOf(node.item)
  }
}

function followedBy(first: First, after: First): First {
  if (!first.isNullable) return first
  return {
    set: unionOf(first.set, after.set),
    isNullable: after.isNullable,
    isConditional: first.isConditional || after.isConditional,
  }
}

/** Whether the node can match at a place in one way only, so that there is nothing to take back. */
function hasOneWay(node: RegexNode): boolean {
  if (node.type === 'sequence') return node.items.every(hasOneWay)
  if (node.type === 'group') return hasOneWay(node.item)
  if (node.type === 'repeat') return node.min === node.max && hasOneWay(node.item)
  return node.type === 'set' || node.type === 'assert'
}

/** The certain beginning, and whether it is the whole of what the node matches. */
function prefixOf(node: RegexNode): { text: string; isWhole: boolean } {
  switch (node.type) {
    case 'set': {
      const code = onlyMember(node.set)
      return code < 0 ? { text: '', isWhole: false } : { text: String.fromCharCode(code), isWhole: true }
    }
    case 'assert':
      return { text: '', isWhole: node.what === 'start' }
    case 'sequence': {
      let text = ''
      for (const item of node.items) {
        const prefix = prefixOf(item)
        text += prefix.text
        if (!prefix.isWhole) return { text, isWhole: false }
      }
      return { text, isWhole: true }
    }
    case 'choice': {
      let common = prefixOf(node.branches[0]!).text
      for (const branch of node.branches) {
        const { text } = prefixOf(branch)
        let length = 0
        while (length < common.length && common[length] === text[length]) length++
        common = common.slice(0, length)
      }
      return { text: common, isWhole: false }
    }
    case 'repeat':
      return { text: node.min > 0 ? prefixOf(node.item).text : '', isWhole: false }
    case 'group':
    case 'atomic':
      return prefixOf(node.item)
    case 'look':
      return { text: '', isWhole: false }
  }
}
