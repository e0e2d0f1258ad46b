/** Requests to language models, as the plugins for them read and refuse them: bodies in OpenAI's form. */
import { FieldName, type Exchange, type Exit } from '#pdk'
import { parseJsonMembers, type JsonMembers } from '#pdk/json-members.ts'
import { parseJsonText } from '#pdk/json-text.ts'

const CONTENT_TYPE = new FieldName('Content-Type')

export interface LlmRequest {
  readonly bytes: Buffer
  /** Kept as they came, so that what no plugin changes reaches the model unchanged. */
  readonly members: JsonMembers
  readonly body: Readonly<Record<string, unknown>>
}

/** A refusal in OpenAI's form, which clients of such routes read. */
export function refuseLlm(exchange: Exchange, status: number, message: string): Exit {
  return exchange.exit(status, { error: { message } })
}

export function isExit(value: object): value is Exit {
  return 'kind' in value && value.kind === 'exit'
}

/** Bytes of a body where `max_request_body_size` is not set. */
export const DEFAULT_LIMIT = 8192

/** As a plugin's `refuse` wants it: what `llm_format` can't be here. */
export function refuseLlmFormat(format: string | null): { readonly field: string; readonly message: string } | null {
  return format === null || format === 'openai'
    ? null
    : { field: 'llm_format', message: "only 'openai' is available in this version" }
}

/** The bytes of the body, or the refusal; `unreadable` is said where the client left. */
export async function readLlmBody(exchange: Exchange, limitBytes: number, unreadable: string): Promise<Buffer | Exit> {
  const bytes = await exchange.request.body.read(limitBytes)
  if (Buffer.isBuffer(bytes)) return bytes
  return bytes.error === 'too_large'
    ? refuseLlm(exchange, 413, `request body is larger than max_request_body_size (${limitBytes} bytes)`)
    : refuseLlm(exchange, 400, unreadable)
}

/** The body, or the refusal (`unreadable`) of what is none: it must be readable in one way, since what a plugin lets pass another one reads again. */
export async function readLlmRequest(
  exchange: Exchange,
  limitBytes: number,
  unreadable = JSON_ONLY,
): Promise<LlmRequest | Exit> {
  const types = CONTENT_TYPE.getAll(exchange.request.headers)
  if (types.length !== 1 || !/^application\/json\s*(?:;|$)/i.test(types[0]!))
    return refuseLlm(exchange, 400, unreadable)
  const bytes = await readLlmBody(exchange, limitBytes, unreadable)
  if (!Buffer.isBuffer(bytes)) return bytes
  const parsed = parseJsonText(bytes)
  if (!parsed.ok || typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value))
    return refuseLlm(exchange, 400, unreadable)
  return { bytes, members: parseJsonMembers(bytes)!, body: parsed.value as LlmRequest['body'] }
}

const JSON_ONLY = 'this LLM route only supports application/json requests'

export interface ChatMessage {
  readonly role: string
  readonly content: unknown
  /** Functions that the assistant asked for, and which of them a message of a tool answers. */
  readonly tool_calls?: unknown
  readonly tool_call_id?: unknown
}

/** The messages of a chat; null where there are none. */
export function messagesOf({ body }: LlmRequest): readonly ChatMessage[] | null {
  const { messages } = body
  if (!Array.isArray(messages) || messages.length === 0) return null
  return messages.every(isMessage) ? messages : null
}

function isMessage(value: unknown): value is ChatMessage {
  return typeof value === 'object' && value !== null && 'role' in value && typeof value.role === 'string'
}

/** All text of a message, whose content may be a list of parts. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: unknown) =>
      typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string' ? part.text : '',
    )
    .join('')
}
