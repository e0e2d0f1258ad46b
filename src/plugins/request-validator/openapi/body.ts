/** Bodies as a document describes them. */
import { decodeArg } from '#pdk/form.ts'
import { fromWire } from '#pdk/wire-text.ts'
import type { MediaType } from '../content-type.ts'
import { rawArgs } from '../parameters.ts'
import { readAs } from '../type-hints.ts'
import type { BodyContent, BodyRules } from './operation.ts'

/** What is said of bodies of a type; null where the type is not described. */
export function findContent({ content }: BodyRules, { name }: MediaType): BodyContent | null {
  const any = `${name.slice(0, name.indexOf('/'))}/*`
  return content.find(({ range }) => range === name || range === any || range === '*/*') ?? null
}

/** A form is an object of its fields; one that comes several times is a list, where the schema has one there. */
export function judgeForm(bytes: Buffer, { judge, hints }: BodyContent): string | null {
  const fields = new Map<string, string[]>()
  for (const [name, raw] of rawArgs(bytes.toString('latin1'))) {
    const value = fromWire(decodeArg(raw))
    const known = fields.get(name)
    if (known === undefined) fields.set(name, [value])
    else known.push(value)
  }
  const members: [string, unknown][] = []
  for (const [name, texts] of fields) {
    const field = hints.properties.get(name) ?? hints.others
    if (field?.types.has('array') === true) members.push([name, texts.map((text) => readAs(text, field.items))])
    else if (texts.length > 1) return `/${name} has several values`
    else members.push([name, readAs(texts[0]!, field)])
  }
  return judge!(Object.fromEntries(members))
}
