/**
 * A `name:value` of a transformer's configuration. As in Kong every colon behind the name belongs to neither, and a value may be
 * missing; it is '' then.
 */
export function splitPair(text: string): { readonly name: string; readonly value: string } {
  const [, name = '', value = ''] = /^([^:]+):*([\s\S]*)$/.exec(text) ?? []
  return { name, value }
}
