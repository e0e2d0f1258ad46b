/** What an endpoint answers: a value, so that endpoints compose and tests compare; only `server.ts` writes to sockets. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: AnswerBody | null
}

export type AnswerBody = { readonly json: unknown } | { readonly text: string; readonly type: string }

export function answerJson(status: number, json: unknown, headers?: Readonly<Record<string, string>>): Answer {
  return headers === undefined ? { status, body: { json } } : { status, headers, body: { json } }
}

/** Kong's short form for everything that has no code of its own: `{"message": "..."}`. */
export function answerMessage(status: number, message: string): Answer {
  return { status, body: { json: { message } } }
}

export const NO_CONTENT: Answer = { status: 204, body: null }
export const NOT_FOUND: Answer = answerMessage(404, 'Not found')
export const METHOD_NOT_ALLOWED: Answer = answerMessage(405, 'Method not allowed')

/** The same answer with more headers. */
export function withHeaders(answer: Answer, headers: Readonly<Record<string, string>>): Answer {
  return { ...answer, headers: { ...answer.headers, ...headers } }
}
