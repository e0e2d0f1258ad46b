/** Functions that a model may ask for, as clients offer them in OpenAI's form. */
import type { Tool } from '../ai/chat-form.ts'

/** Null for none, or for what is no list of functions. */
export function toolsIn(value: unknown): readonly Tool[] | null {
  if (!Array.isArray(value) || value.length === 0) return null
  const tools = value.map(toolOf)
  return tools.every((tool) => tool !== null) ? tools : null
}

function toolOf(value: unknown): Tool | null {
  const { type, function: described } = (value ?? {}) as { readonly type?: unknown; readonly function?: unknown }
  if (type !== 'function' || typeof described !== 'object' || described === null) return null
  const { name, description, parameters } = described as Readonly<Record<string, unknown>>
  if (typeof name !== 'string') return null
  return { name, description: typeof description === 'string' ? description : null, parameters: parameters ?? null }
}

/** A mode, or the name of the one function that is to be asked for; null for none. */
export function choiceIn(value: unknown): string | null {
  if (typeof value === 'string') return value
  const name = (value as { readonly function?: { readonly name?: unknown } } | null | undefined)?.function?.name
  return typeof name === 'string' ? name : null
}
