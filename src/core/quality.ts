/** The weight among the parameters of an element, such as `q=0.5` in Accept (RFC 9110 12.4.2); 1 where there is none. */
export function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const found = /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/i.exec(parameter)
    if (found !== null) return Number(found[1])
  }
  return 1
}
