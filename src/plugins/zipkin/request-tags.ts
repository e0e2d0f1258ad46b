/** Tags that a client gives along: `name=value; name=value` in `tags_header`, which may come several times. */
import type { HeaderList } from '#pdk'

/** What is no pair is passed over. */
export function requestTags(headers: HeaderList, name: string): (readonly [name: string, value: string])[] | null {
  if (!headers.has(name)) return null
  const tags: [string, string][] = []
  for (const line of headers.getAll(name)) {
    for (const item of line.split(';')) {
      const at = item.indexOf('=')
      if (at < 0) continue
      const key = item.slice(0, at).trim()
      const value = item.slice(at + 1).trim()
      if (key !== '' && value !== '' && !/\s/.test(key)) tags.push([key, value])
    }
  }
  return tags
}
