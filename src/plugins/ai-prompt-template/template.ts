/** Templates of requests: JSON with `{{name}}` inside of its texts. */

export interface Template {
  /** Text and names by turns, beginning and ending with text. */
  readonly parts: readonly string[]
}

export function compileTemplate(text: string): Template {
  return { parts: text.split(/\{\{(\w+)\}\}/) }
}

/**
 * The template with the values in place of names, as a text. Each value is escaped, so that it stays within the text where it stands; a
 * value that looks like a name is not looked at again.
 */
export function renderTemplate({ parts }: Template, properties: unknown): string | { readonly problem: string } {
  const values = typeof properties === 'object' && properties !== null ? (properties as Record<string, unknown>) : {}
  const missing: string[] = []
  const rendered = parts.map((part, index) => {
    if (index % 2 === 0) return part
    const value = Object.hasOwn(values, part) ? values[part] : undefined
    if (typeof value === 'string') return JSON.stringify(value).slice(1, -1)
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
    if (!missing.includes(part)) missing.push(part)
    return ''
  })
  if (missing.length === 0) return rendered.join('')
  return { problem: `missing template parameters: ${missing.map((name) => `[${name}]`).join(', ')}` }
}
