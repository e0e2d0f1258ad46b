/** Turns a streamed answer of any form into OpenAI's events while it comes: what waits is one event, and nothing is made of a half one. */
import type { BodyTransform } from '#pdk'
import type { AnswerPart, ChatForm, EventReader } from '../ai/chat-form.ts'
import { EventSplitter } from '../ai/event-splitter.ts'
import { answerPiece, usagePiece, type AnswerFrame } from './openai-answer.ts'
import type { Tally } from './tally.ts'

/** Images that models draw come in one event. */
const EVENT_BYTES_MAX = 8 << 20
const DONE = 'data: [DONE]\n\n'

export interface AnswerStreamOptions {
  readonly form: ChatForm
  readonly frame: AnswerFrame
  readonly tally: Tally
  /** The client is told of the tokens at the end. */
  readonly tellsUsage: boolean
  /** Events are OpenAI's already and go on as they are. */
  readonly isOpenai: boolean
  readonly eventBytesMax?: number
}

export class AnswerStream implements BodyTransform {
  readonly #form: ChatForm
  readonly #read: EventReader
  readonly #splitter: EventSplitter
  readonly #tally: Tally
  readonly #tellsUsage: boolean
  readonly #isOpenai: boolean
  #frame: AnswerFrame
  #isFirst = true
  #isOver = false

  constructor({ form, frame, tally, tellsUsage, isOpenai, eventBytesMax = EVENT_BYTES_MAX }: AnswerStreamOptions) {
    if (form.openEvents === null) throw new Error('expected a form whose answers can be streamed')
    this.#form = form
    this.#read = form.openEvents()
    this.#splitter = new EventSplitter(eventBytesMax)
    this.#frame = frame
    this.#tally = tally
    this.#tellsUsage = tellsUsage
    this.#isOpenai = isOpenai
  }

  chunk(bytes: Buffer): Buffer | null {
    if (this.#isOver) return null
    let out = ''
    for (const event of this.#splitter.push(bytes)) {
      out += this.#pass(event)
      if (this.#isOver) break
    }
    if (this.#splitter.isOverLimit && !this.#isOver) out += this.#fail('an event of the AI service is too long')
    return out === '' ? null : Buffer.from(out)
  }

  end(): Buffer | null {
    if (this.#isOver) return null
    return Buffer.from(this.#finish())
  }

  #pass(event: string): string {
    if (event === '[DONE]') return this.#finish()
    let value: unknown
    try {
      value = JSON.parse(event)
    } catch {
      return this.#fail('an event of the AI service is not JSON')
    }
    let part = this.#read(value)
    // Services that know nothing of streams answer at once.
    const whole = part === null && this.#splitter.isJson ? this.#form.decode(value) : null
    if (whole !== null) part = { ...whole, finish: whole.finish ?? 'stop', isLast: true, problem: null }
    if (part !== null) this.#tally.add(part)
    if (this.#isOpenai && whole === null) {
      // An error is the end: that the answer is done would be no truth.
      this.#isOver = part !== null && part.isLast
      return this.#asItIs(event, value)
    }
    return part === null ? '' : this.#translated(part)
  }

  #asItIs(event: string, value: unknown): string {
    // What only the gateway has asked for is not for the client.
    const { choices, usage } = (value ?? {}) as { readonly choices?: unknown; readonly usage?: unknown }
    if (!this.#tellsUsage && Array.isArray(choices) && choices.length === 0 && usage != null) return ''
    return `data: ${event.replaceAll('\n', '\ndata: ')}\n\n`
  }

  #translated(part: AnswerPart): string {
    if (part.problem !== null) return this.#fail(part.problem)
    const { text, toolCalls, finish } = part
    if (part.id !== null && this.#isFirst) this.#frame = { ...this.#frame, id: part.id }
    const says = this.#isFirst || text !== '' || toolCalls.length > 0 || finish !== null
    let out = ''
    // OpenAI tells the end in an event that has nothing else.
    if (finish !== null && (text !== '' || toolCalls.length > 0)) {
      out += this.#event(answerPiece(this.#frame, { text, toolCalls, finish: null }, this.#isFirst))
      this.#isFirst = false
      out += this.#event(answerPiece(this.#frame, { text: '', toolCalls: [], finish }, false))
    } else if (says) {
      out += this.#event(answerPiece(this.#frame, part, this.#isFirst))
      this.#isFirst = false
    }
    return part.isLast ? out + this.#finish() : out
  }

  #finish(): string {
    this.#isOver = true
    const usage =
      this.#tellsUsage && !(this.#isOpenai && !this.#splitter.isJson)
        ? this.#event(usagePiece(this.#frame, this.#tally))
        : ''
    return usage + DONE
  }

  /** The head has long gone: clients of OpenAI's services take an event like this for the error that it is. */
  #fail(message: string): string {
    this.#isOver = true
    return this.#event({ error: { message, type: 'upstream_error', param: null, code: null } })
  }

  #event(value: object): string {
    return `data: ${JSON.stringify(value)}\n\n`
  }
}
