/**
 * A number for an id, for the block that a worker shares with the main thread: it says what the worker is doing, so that a hung
 * one can be named. Never 0. Two ids with one number would name the wrong one in a log line, once in four thousand million.
 */
export function idHash(id: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  return hash | 0 || 1
}
