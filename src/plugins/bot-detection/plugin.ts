/** Keeps out programs by what they say they are, as Kong's bot-detection does. Those who say something else it can't know. */
import { compileSafeRegex, type SafeRegex } from '#core/pcre.ts'
import { definePlugin, FieldName, type Exit } from '#pdk'
import { isCrawler } from './crawlers.ts'
import { schema } from './schema.ts'

const USER_AGENT = new FieldName('User-Agent')

interface State {
  readonly allow: readonly SafeRegex[]
  readonly deny: readonly SafeRegex[]
}

export const botDetection = definePlugin({
  schema,

  prepare({ allow, deny }): State {
    return { allow: compilePatterns(allow), deny: compilePatterns(deny) }
  },

  access(exchange, { allow, deny }): void | Exit {
    const agents = USER_AGENT.getAll(exchange.request.headers)
    if (agents.length === 0) return
    if (agents.length > 1) return exchange.fail(400, 'Only one User-Agent header allowed')
    const agent = agents[0]!.trim()
    if (allow.some((pattern) => pattern.test(agent))) return
    if (deny.some((pattern) => pattern.test(agent)) || isCrawler(agent)) return exchange.fail(403, 'Forbidden')
  },
})

/** Validation refuses what does not compile; where another version stored it, it matches nobody. */
function compilePatterns(patterns: readonly string[] | null): SafeRegex[] {
  return (patterns ?? []).flatMap((pattern) => {
    const compiled = compileSafeRegex(pattern)
    return compiled.ok ? [compiled.regex] : []
  })
}
