/** Functions in configurations are JavaScript here, where Kong has Lua. Only their form is looked at; nothing of them runs. */

const MOVING = "functions are JavaScript here, 'docs/plugins/pre-function.md' says how Lua is moved"

/** Words and signs of Lua that no JavaScript has, outside of texts. */
const LUA = /\blocal\s+[\w,\s]+=|\bthen\b|\belseif\b|\bend\b|\bnil\b|~=|^\s*--/m

/** Why the text can't be the body of a function; null when it can. */
export function problemOfFunction(source: string): string | null {
  try {
    parseBody(source)
    return null
  } catch (error) {
    const reason = (error as Error).message
    return LUA.test(source)
      ? `Lua code cannot run in this gateway (${reason}); ${MOVING}`
      : `not JavaScript: ${reason}; ${MOVING}`
  }
}

/** The constructor of asynchronous functions, which is no global. It parses bodies on their own, so that none can close itself early. */
const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => unknown

function parseBody(source: string): void {
  // oxlint-disable-next-line no-new
  new AsyncFunction('kong', `'use strict';\n${source}`)
}
