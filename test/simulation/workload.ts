/** Small random transactions on few entities with few names, so that they meet each other all the time. */
import type { Document } from '#model/document.ts'
import type { Operation } from '#store/contract.ts'
import { W1, W2 } from '../contract/store-fixture.ts'
import type { Random } from './random.ts'

const IDS = ['a', 'b', 'c']
const NAMES = ['x', 'y', 'z']
const KINDS = ['groups', 'groups', 'groups', 'members', 'members', 'notes', 'links', 'domains', 'authorities'] as const
/** More than stands in a row of the log. */
const LARGE = 20_000

/** Counted up by those who write, and by nothing else. */
export const COUNTER = 'counter'

export function randomOperations(random: Random): readonly Operation[] {
  return Array.from({ length: 1 + random.integer(3) }, () => randomOperation(random))
}

/** Some ask for one name, of which only one can have it. */
export function claimName(random: Random, name: string): readonly Operation[] {
  return [{ op: 'put', kind: 'domains', workspace: W1, document: made({ id: `d${random.integer(1e9)}`, name }) }]
}

export function counted(document: Document | undefined): readonly Operation[] {
  const note = String(Number(document?.note ?? 0) + 1)
  return [{ op: 'put', kind: 'groups', workspace: W1, document: made({ id: COUNTER, name: null, note, tags: null }) }]
}

/** Something to look up: kind, unique field, value. */
export function randomKey(random: Random): readonly [kind: string, field: string, value: string] {
  const [kind, field] = random.pick([
    ['groups', 'name'],
    ['groups', 'name'],
    ['members', 'key'],
    ['domains', 'name'],
  ] as const)
  return [kind, field, random.pick(NAMES)]
}

function randomOperation(random: Random): Operation {
  const kind = random.pick(KINDS)
  const workspace = random.chance(0.2) ? W2 : W1
  if (random.chance(0.25)) return { op: 'delete', kind, workspace, id: random.pick(IDS) }
  const document = randomDocument(random, kind)
  return { op: 'put', kind, workspace, document, ...(random.chance(0.3) ? { insert: true } : {}) }
}

function randomDocument(random: Random, kind: (typeof KINDS)[number]): Document {
  const id = random.pick(IDS)
  const name = random.chance(0.2) ? null : random.pick(NAMES)
  const group = random.chance(0.3) ? null : { id: random.pick(IDS) }
  switch (kind) {
    case 'groups': {
      const note = random.chance(0.01) ? 'n'.repeat(LARGE) : random.pick(['1', '2', '3'])
      return made({ id, name, note, tags: random.chance(0.3) ? ['t'] : null })
    }
    case 'members':
      return made({ id, group: { id: random.pick(IDS) }, key: name, tags: null })
    case 'notes':
      return made({ id, group })
    case 'links':
      return made({ id, name: random.pick(NAMES), group })
    case 'domains':
    case 'authorities':
      return made({ id, name })
  }
}

function made(fields: Readonly<Record<string, unknown>>): Document {
  return fields as Document
}
