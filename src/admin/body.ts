/** Reads a request body within its limits and parses it by its Content-Type, as Kong's Admin API does. */
import type { IncomingMessage } from 'node:http'
import { parse as parseQueryString } from 'node:querystring'
import { type Answer, answerMessage } from './answer.ts'
import { type FormEntry, type FormNode, FORM_ENTRIES_MAX, parseForm } from './form.ts'
import { parseMultipart } from './multipart.ts'

/** A body before its endpoint has looked at it. */
export type Body =
  | { readonly type: 'none' }
  | { readonly type: 'json'; readonly value: Readonly<Record<string, unknown>> }
  /** Not typed yet: only the endpoint knows the schema, see `form.ts`. */
  | { readonly type: 'form'; readonly form: FormNode }
  /** YAML, where an endpoint takes it (`/config`). */
  | { readonly type: 'text'; readonly text: string }

export type BodyResult = { readonly ok: true; readonly body: Body } | { readonly ok: false; readonly answer: Answer }

export interface BodyLimits {
  readonly limitBytes: number
  /** For the whole body, from the end of the header. */
  readonly timeoutMs: number
}

/** Reads and parses. `takesYaml`: the endpoint also takes text/yaml and application/yaml. Never throws for what a client sends. */
export async function readBody(request: IncomingMessage, limits: BodyLimits, takesYaml: boolean): Promise<BodyResult> {
  const contentType = request.headers['content-type']
  const read = await readBytes(request, limits)
  if (!read.ok) return read
  if (contentType === undefined) return read.bytes.length === 0 ? done({ type: 'none' }) : unsupported(takesYaml)
  // Kong compares the beginning of the header, with its letters as they are.
  if (contentType.startsWith('application/json')) return parseJson(read.bytes)
  if (contentType.startsWith('application/x-www-form-urlencoded')) return parseUrlencoded(read.bytes)
  if (contentType.startsWith('multipart/form-data')) return await parseMultipartBody(request, read.bytes)
  if (takesYaml && /^(?:text|application)\/(?:x-)?yaml\b/.test(contentType)) return parseText(read.bytes)
  return unsupported(takesYaml)
}

/** Strict UTF-8: a name that is not what was sent must not be stored. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

type BytesResult = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly answer: Answer }

function readBytes(request: IncomingMessage, { limitBytes, timeoutMs }: BodyLimits): Promise<BytesResult> {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > limitBytes) return Promise.resolve({ ok: false, answer: tooLarge(limitBytes) })
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    const finish = (result: BytesResult) => {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onError)
      resolve(result)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      if (length > limitBytes) return finish({ ok: false, answer: tooLarge(limitBytes) })
      chunks.push(chunk)
    }
    const onEnd = () => finish({ ok: true, bytes: Buffer.concat(chunks, length) })
    // The client is gone: the answer has no reader, but the promise must settle.
    const onError = () => finish({ ok: false, answer: answerMessage(400, 'The request body ended early') })
    const timer = setTimeout(
      () => finish({ ok: false, answer: answerMessage(408, `The request body took longer than ${timeoutMs} ms`) }),
      timeoutMs,
    )
    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onError)
  })
}

function parseJson(bytes: Buffer): BodyResult {
  const refused = { ok: false, answer: answerMessage(400, 'Cannot parse JSON body') } as const
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch {
    // Not UTF-8 or not JSON: the same answer as Kong's for both.
    return refused
  }
  // To Kong's Lua an empty list and an empty object are the same.
  if (Array.isArray(value) && value.length === 0) return done({ type: 'json', value: {} })
  return isObject(value) ? done({ type: 'json', value }) : refused
}

function parseUrlencoded(bytes: Buffer): BodyResult {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return { ok: false, answer: answerMessage(400, 'Cannot parse form body: expected UTF-8') }
  }
  if (countOf(text, '&') >= FORM_ENTRIES_MAX)
    return { ok: false, answer: answerMessage(400, `expected at most ${FORM_ENTRIES_MAX} form fields`) }
  const entries: FormEntry[] = []
  for (const [name, value] of Object.entries(parseQueryString(text, '&', '=', { maxKeys: FORM_ENTRIES_MAX }))) {
    for (const item of Array.isArray(value) ? value : [value ?? '']) entries.push({ name, value: { text: item } })
  }
  return formOf(entries)
}

async function parseMultipartBody(request: IncomingMessage, bytes: Buffer): Promise<BodyResult> {
  const parsed = await parseMultipart(request.headers, bytes)
  return parsed.ok
    ? formOf(parsed.entries)
    : { ok: false, answer: answerMessage(400, `Cannot parse multipart body: ${parsed.message}`) }
}

function parseText(bytes: Buffer): BodyResult {
  try {
    return done({ type: 'text', text: utf8.decode(bytes) })
  } catch {
    return { ok: false, answer: answerMessage(400, 'Cannot parse YAML body: expected UTF-8') }
  }
}

function formOf(entries: readonly FormEntry[]): BodyResult {
  const parsed = parseForm(entries)
  return parsed.ok
    ? done({ type: 'form', form: parsed.form })
    : { ok: false, answer: answerMessage(400, parsed.message) }
}

function done(body: Body): BodyResult {
  return { ok: true, body }
}

function unsupported(takesYaml: boolean): BodyResult {
  const yaml = takesYaml ? ', text/yaml' : ''
  return {
    ok: false,
    answer: answerMessage(
      415,
      `expected a Content-Type of application/json, application/x-www-form-urlencoded, multipart/form-data${yaml}`,
    ),
  }
}

function tooLarge(limitBytes: number): Answer {
  return answerMessage(413, `The request body is larger than ${limitBytes} bytes`)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function countOf(text: string, character: string): number {
  let count = 0
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) count++
  return count
}
