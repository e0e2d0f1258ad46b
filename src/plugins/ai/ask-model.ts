/** Asks a model of an operator's for a chat. */
import type { MetricsSink } from '#pdk'
import type { HttpAsker } from '#pdk/ask-http.ts'
import type { ChatAnswer } from './chat-form.ts'
import type { ChatMessage } from './llm-request.ts'
import type { Provider } from './provider.ts'

/** `problem` has nothing of the question nor of the answer: it may go to clients. */
export type ModelAnswer = ChatAnswer | { readonly problem: string }

export async function askModel(
  plugin: string,
  asker: HttpAsker,
  provider: Provider,
  messages: readonly ChatMessage[],
  metrics: MetricsSink,
): Promise<ModelAnswer> {
  const { url, headers, form, options, members } = provider
  const body = JSON.stringify({ ...form.encode(messages, options), ...members })
  const answer = await asker.ask(url, { method: 'POST', headers, body })
  if ('problem' in answer) {
    metrics.called(plugin, 'chat', 'failed')
    return { problem: 'failed to ask the AI service' }
  }
  if (answer.status !== 200) {
    metrics.called(plugin, 'chat', 'refused')
    return { problem: `the AI service answered ${answer.status}` }
  }
  const decoded = form.decode(parseAnswer(answer.text))
  metrics.called(plugin, 'chat', decoded === null ? 'failed' : 'answered')
  return decoded ?? { problem: 'the AI service answered in another form than expected' }
}

/** What a service answered; null for what is not JSON. */
export function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // No answer in any form, as `decode` then says.
    return null
  }
}
