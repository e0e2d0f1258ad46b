/** Changes to arguments and to the fields of bodies. Each function says whether it changed anything. */
import type { TemplateScope } from '#core/template.ts'
import { emptyMultipart, fieldPart, renamedPart, type Multipart } from '#pdk/multipart.ts'
import type { BodyFields } from '#pdk/body-fields.ts'
import type { Args } from '#pdk/form.ts'
import { rawJson, valueOfJson, type JsonMembers } from '#pdk/json-members.ts'
import { fromWire } from '#pdk/wire-text.ts'
import type { Operations } from './operations.ts'

/** The fields that an empty body of this kind is given. */
export function emptyBody(kind: BodyFields['kind'], contentType: string): BodyFields | null {
  if (kind === 'form') return { kind, args: new Map() }
  if (kind === 'json') return { kind, members: new Map() }
  const form = emptyMultipart(contentType)
  return form === null ? null : { kind, form }
}

export function transformBody(body: BodyFields, operations: Operations, scope: TemplateScope): boolean {
  switch (body.kind) {
    case 'form':
      return transformArgs(body.args, operations, scope)
    case 'json':
      return transformMembers(body.members, operations, scope)
    case 'multipart':
      return transformParts(body.form, operations, scope)
  }
}

export function transformArgs(args: Args, operations: Operations, scope: TemplateScope): boolean {
  let isChanged = false
  for (const { wireName } of operations.remove) if (args.delete(wireName)) isChanged = true
  for (const { wireName, value } of operations.rename) {
    const values = args.get(wireName)
    const to = values === undefined ? null : value.render(scope)
    if (values === undefined || to === null || to === wireName) continue
    args.delete(wireName)
    args.set(to, values)
    isChanged = true
  }
  for (const { wireName, value } of operations.replace) {
    const text = args.has(wireName) ? value.render(scope) : null
    if (text === null) continue
    args.set(wireName, [text])
    isChanged = true
  }
  for (const { wireName, value } of operations.add) {
    const text = args.has(wireName) ? null : value.render(scope)
    if (text === null) continue
    args.set(wireName, [text])
    isChanged = true
  }
  for (const { wireName, value } of operations.append) {
    const text = value.render(scope)
    if (text === null) continue
    args.set(wireName, [...(args.get(wireName) ?? []), text])
    isChanged = true
  }
  return isChanged
}

function transformMembers(members: JsonMembers, operations: Operations, scope: TemplateScope): boolean {
  let isChanged = false
  for (const { name } of operations.remove) if (members.delete(name)) isChanged = true
  for (const { name, value } of operations.rename) {
    const raw = members.get(name)
    const wireTo = raw === undefined ? null : value.render(scope)
    const to = wireTo === null ? name : fromWire(wireTo)
    if (raw === undefined || to === name) continue
    members.delete(name)
    members.set(to, raw)
    isChanged = true
  }
  for (const { name, value } of operations.replace) {
    const text = members.has(name) ? value.render(scope) : null
    if (text === null) continue
    members.set(name, rawJson(fromWire(text)))
    isChanged = true
  }
  for (const { name, value } of operations.add) {
    const text = members.has(name) ? null : value.render(scope)
    if (text === null) continue
    members.set(name, rawJson(fromWire(text)))
    isChanged = true
  }
  for (const { name, value } of operations.append) {
    const text = value.render(scope)
    if (text === null) continue
    members.set(name, appended(members.get(name), rawJson(fromWire(text))))
    isChanged = true
  }
  return isChanged
}

/** Raw JSON of the list that has one more element; what was no list becomes its first. */
function appended(list: string | undefined, element: string): string {
  if (list === undefined || list === 'null') return `[${element}]`
  if (!list.startsWith('[')) return `[${list},${element}]`
  return (valueOfJson(list) as readonly unknown[]).length === 0 ? `[${element}]` : `${list.slice(0, -1)},${element}]`
}

/** In Kong's order, which differs here: rename comes first, and nothing is appended. */
function transformParts(form: Multipart, operations: Operations, scope: TemplateScope): boolean {
  let isChanged = false
  const has = (name: string) => form.parts.some((part) => part.name === name)
  for (const { wireName, value } of operations.rename) {
    const to = has(wireName) ? value.render(scope) : null
    if (to === null || to === wireName) continue
    form.parts = form.parts
      .filter((part) => part.name !== to)
      .map((part) => (part.name === wireName ? renamedPart(part, to) : part))
    isChanged = true
  }
  for (const { wireName } of operations.remove) {
    if (!has(wireName)) continue
    form.parts = form.parts.filter((part) => part.name !== wireName)
    isChanged = true
  }
  for (const { wireName, value } of operations.replace) {
    const text = has(wireName) ? value.render(scope) : null
    if (text === null) continue
    form.parts = [...form.parts.filter((part) => part.name !== wireName), fieldPart(wireName, text)]
    isChanged = true
  }
  for (const { wireName, value } of operations.add) {
    const text = has(wireName) ? null : value.render(scope)
    if (text === null) continue
    form.parts = [...form.parts, fieldPart(wireName, text)]
    isChanged = true
  }
  return isChanged
}
