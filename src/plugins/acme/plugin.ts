/**
 * Certificates from an authority that speaks ACME, as Kong's plugin gets them. What stands here runs in the workers: it meets the
 * challenges of `http-01`, and says which names have no certificate yet. The rest is in the main thread.
 */
import { definePlugin, storeFailure, type Exchange, type Exit, type RuntimeValues, type ServerCertificates } from '#pdk'
import { CHALLENGE_TOKEN, HTTP_CHALLENGE_PATH } from '#pdk/acme-challenges.ts'
import { createHostMatcher } from '#core/host-patterns.ts'
import { acmeStorage } from './entities.ts'
import { schema } from './schema.ts'

interface State {
  readonly mayHave: (name: string) => boolean
  readonly runtime: RuntimeValues
  readonly certificates: ServerCertificates
}

export const acme = definePlugin({
  schema,
  entities: [acmeStorage],

  refuse(_config, { hasDatabase }) {
    return hasDatabase
      ? null
      : { field: '', message: 'expected a database: without one, certificates would be lost with the process' }
  },

  prepare(config, { runtime, certificates }): State {
    const matches = createHostMatcher(config.domains ?? [])
    return { mayHave: config.allow_any_domain ? () => true : matches, runtime, certificates }
  },

  // Before routing, so that no route is needed for the challenge.
  rewrite(exchange, state): void | Exit | Promise<Exit> {
    const { request } = exchange
    if (request.scheme !== 'http' || !request.path.startsWith(HTTP_CHALLENGE_PATH)) return
    // Others may prove that other names are theirs.
    if (!state.mayHave(request.host.toLowerCase())) return
    return answerChallenge(exchange, state.runtime, request.path.slice(HTTP_CHALLENGE_PATH.length))
  },

  access(exchange, state): void {
    const { scheme, sni } = exchange.request
    if (scheme !== 'https' || sni === null) return
    const name = sni.toLowerCase()
    if (!state.certificates.has(name) && state.mayHave(name)) state.certificates.want(name)
  },
})

async function answerChallenge(exchange: Exchange, runtime: RuntimeValues, token: string): Promise<Exit> {
  if (!CHALLENGE_TOKEN.test(token)) return unknown(exchange)
  try {
    const keyAuthorization = await runtime.get('http-01', token)
    // RFC 8555 8.3 recommends this type.
    return typeof keyAuthorization === 'string'
      ? exchange.exit(200, keyAuthorization, { contentType: 'application/octet-stream' })
      : unknown(exchange)
  } catch (error) {
    return storeFailure(exchange, error)
  }
}

/** In Kong's words: `POST /acme` with `test_http_challenge_flow` looks for them. */
function unknown(exchange: Exchange): Exit {
  return exchange.exit(404, 'Not found\n', { contentType: 'text/plain; charset=utf-8' })
}
