/** Parts of pages in docs/ that programs write: between `<!-- name -->` and `<!-- /name -->`. */

/** The page with other lines between the markers. */
export function withMarked(page: string, name: string, lines: readonly string[]): string {
  const [first, last] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const start = page.indexOf(first)
  const end = page.indexOf(last)
  if (start < 0 || end < start) throw new Error(`the page has no ${first} ... ${last}`)
  return page.slice(0, start) + [first, '', ...lines, '', last].join('\n') + page.slice(end + last.length)
}
