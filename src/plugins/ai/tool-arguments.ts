/** The arguments of a function as a model wrote them; what is no object is handed on as one, so that nothing of it is lost. */
export function parseArguments(json: string): object {
  if (json.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value }
  } catch {
    // Models write invalid JSON now and then; who called the function has dealt with that already.
    return { value: json }
  }
}
