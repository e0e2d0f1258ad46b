/** Recorded answers of a real Kong against the model: every body that was sent to create an entity or to have it checked. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import type { Checked } from './contract.ts'
import { testContext, testModel } from './testing.ts'
import { refusalOfCheck } from './refusal.ts'

const CORPUS = new URL('../../../shared/kong-corpus/', import.meta.url)
const skip = existsSync(CORPUS) ? false : 'the recordings are not here'

const model = testModel(pluginSchemas, pluginEntities)
const context = testContext({ nowMs: Date.now() })

/** What is meant to differ: one more strategy is there. */
const LISTED: Readonly<Record<string, readonly [theirs: string, ours: string]>> = {
  'plugins: proxy-cache: bad strategy': ['expected one of: memory', 'expected one of: memory, redis'],
}

interface Step {
  readonly name: string
  readonly path: string
  readonly body: Record<string, unknown>
  readonly status: number
  readonly json: any
}

test('answers what Kong answered to every recorded check of a body', { skip }, async (t) => {
  for (const step of steps('topics/admin-validate.json')) {
    await t.test(`${step.name}: ${JSON.stringify(step.body).slice(0, 100)}`, () => {
      const kind = /^\/schemas\/(\w+)\/validate/.exec(step.path)![1]!
      const checked = model.check(kind, step.body, context)
      if (checked.ok) assert.equal(step.status, 200)
      else compare(wanted(step), refusalOfCheck(checked))
    })
  }
})

/** The recorded answer, with what is meant to differ. */
function wanted({ name, json }: Step): unknown {
  const listed = LISTED[name]
  return listed === undefined ? json : JSON.parse(JSON.stringify(json).replaceAll(listed[0], listed[1]))
}

test('makes of every recorded body the document or the refusal that Kong made', { skip }, async (t) => {
  let compared = 0
  for (const file of readdirSync(new URL('admin-write/', CORPUS))) {
    for (const step of steps(`admin-write/${file}`)) {
      const target = targetOf(step)
      if (target === null) continue
      compared++
      await t.test(`${file} ${step.name}: ${step.path} ${JSON.stringify(step.body).slice(0, 100)}`, () => {
        const checked: Checked = step.path.endsWith('validate')
          ? model.check(target.kind, target.input, context)
          : model.insert(target.kind, target.input, context)
        if (checked.ok) {
          assert.notEqual(step.status, 400, `expected ${JSON.stringify(step.json)}, but it is accepted`)
          if (step.status !== 201 || step.json === undefined) return
          const shown = model.present(target.kind, checked.document, context.nowMs) as Record<string, unknown>
          // The list of server names is kept in entities of its own.
          if (target.kind === 'certificates') shown['snis'] = step.json.snis
          compare(step.json, shown)
        } else {
          assert.equal(
            step.status,
            400,
            `${JSON.stringify(refusalOfCheck(checked))} instead of ${JSON.stringify(step.json)}`,
          )
          if (step.json !== undefined) compare(step.json, refusalOfCheck(checked))
        }
      })
    }
  }
  assert.ok(compared > 300, `only ${compared} steps were compared`)
})

const ANY_ID = '00000000-0000-4000-8000-00000000dddd'

const NESTED: Record<string, [kind: string, field: string]> = {}
for (const definition of model.entities.values()) {
  for (const [field, { type, reference }] of Object.entries(definition.fields)) {
    if (type !== 'foreign') continue
    const parent = model.entities.get(reference!)!
    const name = definition.admin_api_nested_name ?? definition.admin_api_name ?? definition.kind
    NESTED[`${parent.admin_api_name ?? parent.kind}/${name}`] = [definition.kind, field]
  }
}

/** What the step creates, or null when it creates nothing or what it does can't be known from its body alone. */
function targetOf({ path, body, status, json }: Step): { kind: string; input: Record<string, unknown> } | null {
  // Answers that come from the state: missing parents, references and duplicates, server names; and what crashes Kong.
  if (![200, 201, 400].includes(status) || (status === 400 && ![2, undefined].includes(json?.code))) return null
  if (JSON.stringify(json?.message)?.includes('already associated') || json?.message?.includes?.('does not support'))
    return null
  const [, first, parent, second] = path.split('/')
  if (first === 'schemas')
    return second === 'validate' && model.entities.has(parent!) ? { kind: parent!, input: body } : null
  if (parent === undefined) {
    const definition = [...model.entities.values()].find(({ kind, admin_api_name: name }) => (name ?? kind) === first)
    return definition === undefined || hasUnresolved(body) ? null : { kind: definition.kind, input: body }
  }
  const nested = NESTED[`${first}/${second}`]
  if (nested === undefined) return null
  const [kind, field] = nested
  const id = /^[0-9a-f-]{36}$/.test(parent) ? parent : '00000000-0000-4000-8000-00000000dddd'
  return { kind, input: { ...body, [field]: { id } } }
}

function hasUnresolved(body: Record<string, unknown>): boolean {
  return Object.values(body).some(
    (value) =>
      typeof value === 'object' && value !== null && ('name' in value || 'username' in value) && !('id' in value),
  )
}

function steps(file: string): Step[] {
  const topic = JSON.parse(readFileSync(new URL(file, CORPUS), 'utf8'))
  return topic.cases.flatMap((test: any) =>
    (test.steps ?? [test]).flatMap(({ request, expect }: any) => {
      if (request.method !== 'POST' || request.json === undefined || typeof expect.status !== 'number') return []
      const expanded = expand({ body: request.json, json: expect.json }, topic.variables ?? {})
      return [{ name: test.name, path: request.path ?? request.target, status: expect.status, ...expanded }]
    }),
  )
}

/** Values that were captured in earlier steps become one made-up id. */
function expand<T>(value: T, variables: Record<string, string>): T {
  return JSON.parse(JSON.stringify(value), (_key, item: unknown) => {
    if (typeof item !== 'string') return item
    return item.replaceAll(/\$\{([\w:]+)\}/g, (_all, name: string) => variables[name] ?? ANY_ID)
  }) as T
}

function compare(expected: unknown, actual: unknown, path = 'answer'): void {
  if (expected !== null && typeof expected === 'object' && !Array.isArray(expected)) {
    const wanted = expected as Record<string, any>
    const [operator] = Object.keys(wanted)
    if (operator === '$is') {
      if (wanted['$is'] === 'uuid') assert.match(String(actual), /^[0-9a-f-]{36}$/, path)
      else if (wanted['$is'] === 'secret') assert.match(String(actual), /^\w{32}$/, path)
      else if (wanted['$is'] === 'sha1') assert.match(String(actual), /^[0-9a-f]{40}$/, path)
      else assert.equal(typeof actual, 'number', path)
      return
    }
    if (operator === '$re') return assert.match(String(actual), new RegExp(wanted['$re'], 's'), path)
    if (operator === '$any') return assert.equal(typeof actual, wanted['$any'], path)
    if (operator === '$subset') {
      for (const [key, item] of Object.entries(wanted['$subset']))
        compare(item, (actual as any)?.[key], `${path}.${key}`)
      return
    }
    assert.deepEqual(Object.keys(actual ?? {}).toSorted(), Object.keys(wanted).toSorted(), path)
    for (const [key, item] of Object.entries(wanted)) compare(item, (actual as any)[key], `${path}.${key}`)
    return
  }
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), `${path}: expected a list, got ${JSON.stringify(actual)}`)
    assert.equal(actual.length, expected.length, path)
    expected.forEach((item, index) => compare(item, actual[index], `${path}[${index}]`))
    return
  }
  // The one id that stands for all that were captured fits any id.
  if (expected === ANY_ID || actual === ANY_ID) return assert.match(String(actual), /^[0-9a-f-]{36}$/, path)
  assert.equal(actual, expected, path)
}
