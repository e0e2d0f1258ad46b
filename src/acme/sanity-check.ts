/** Whether requests for `http-01` challenges of a name come here, as Kong finds it out: by one for a token that nobody has. */
import type { HttpAsker } from '#pdk/ask-http.ts'
import { HTTP_CHALLENGE_PATH } from '#pdk/acme-challenges.ts'

/** What is shown of an answer that was not expected: it comes from whatever the name leads to. */
const SHOWN_MAX = 200

/** Null: they do. Else what is wrong, in Kong's words. */
export async function checkHttpChallenge(asker: HttpAsker, host: string): Promise<string | null> {
  const url = new URL(`http://${host}${HTTP_CHALLENGE_PATH}x`)
  const answer = await asker.ask(url, { method: 'GET', headers: {}, body: null })
  if ('problem' in answer) return answer.problem
  if (answer.status === 404 && answer.text === 'Not found\n') return null
  return `unexpected response: "${answer.text.slice(0, SHOWN_MAX)}", unexpected status code: ${answer.status}`
}
