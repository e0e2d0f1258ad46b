/** Answers in OpenAI's form, whole and in pieces. */
import type { ChatAnswer, FinishReason, ToolCall } from '../ai/chat-form.ts'

/** What all pieces of one answer have. */
export interface AnswerFrame {
  readonly isChat: boolean
  readonly id: string
  /** Unix time, seconds. */
  readonly created: number
  readonly model: string
}

export interface TokenCounts {
  readonly promptTokens: number | null
  readonly completionTokens: number | null
}

export function wholeAnswer(frame: AnswerFrame, answer: ChatAnswer): object {
  const { isChat } = frame
  const calls = answer.toolCalls
  const message = {
    role: 'assistant',
    content: calls.length > 0 && answer.text === '' ? null : answer.text,
    ...(calls.length > 0 && { tool_calls: calls.map((call) => callOf(call, false)) }),
  }
  return {
    ...headOf(frame, answer, isChat ? 'chat.completion' : 'text_completion'),
    choices: [
      {
        index: 0,
        ...(isChat ? { message } : { text: answer.text }),
        logprobs: null,
        finish_reason: answer.finish ?? 'stop',
      },
    ],
    usage: usageOf(answer),
  }
}

/** `isFirst`: it says whose answer it is. */
export function answerPiece(
  frame: AnswerFrame,
  piece: { readonly text: string; readonly toolCalls: readonly ToolCall[]; readonly finish: FinishReason | null },
  isFirst: boolean,
): object {
  const { isChat } = frame
  const { text, toolCalls, finish } = piece
  const delta = {
    ...(isFirst && { role: 'assistant' }),
    ...((text !== '' || (isFirst && toolCalls.length === 0)) && { content: text }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls.map((call) => callOf(call, true)) }),
  }
  return {
    ...headOf(frame, null, isChat ? 'chat.completion.chunk' : 'text_completion'),
    choices: [{ index: 0, ...(isChat ? { delta } : { text }), logprobs: null, finish_reason: finish }],
  }
}

/** The last piece, for clients that asked for it. */
export function usagePiece(frame: AnswerFrame, counts: TokenCounts): object {
  return {
    ...headOf(frame, null, frame.isChat ? 'chat.completion.chunk' : 'text_completion'),
    choices: [],
    usage: usageOf(counts),
  }
}

export function usageOf({ promptTokens, completionTokens }: TokenCounts): object {
  return {
    prompt_tokens: promptTokens ?? 0,
    completion_tokens: completionTokens ?? 0,
    total_tokens: (promptTokens ?? 0) + (completionTokens ?? 0),
  }
}

function headOf({ id, created, model }: AnswerFrame, answer: ChatAnswer | null, object: string): object {
  return { id: answer?.id ?? id, object, created, model: answer?.model ?? model }
}

/** Pieces of a call are put together by their number; its id and name come once. */
function callOf({ index, id, name, arguments: json }: ToolCall, isPiece: boolean): object {
  return {
    ...(isPiece && { index }),
    ...(id !== null && { id }),
    ...((name !== null || !isPiece) && { type: 'function' }),
    function: { ...(name !== null && { name }), arguments: json },
  }
}
