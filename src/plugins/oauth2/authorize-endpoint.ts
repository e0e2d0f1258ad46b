/**
 * The authorization endpoint (RFC 6749 3.1). As in Kong it is called by the site that has logged the user in, which proves itself
 * by the provision key, and answers where to send the browser.
 */
import type { Exchange, Exit } from '#pdk'
import { addArg, encodeArgs, parseArgs, type Args } from '#pdk/form.ts'
import { fromWire, toWire } from '#pdk/wire-text.ts'
import { findClient } from './client.ts'
import type { Parameters } from './parameters.ts'
import { codeChallenge } from './pkce.ts'
import * as problems from './problem.ts'
import { isProblem, problem, type Problem } from './problem.ts'
import { requestedScope } from './scope.ts'
import { knowsProvisionKey } from './provision-key.ts'
import type { State } from './state.ts'
import type { Grant } from './tokens.ts'

interface Decision {
  /** Where the browser goes: with the answer, or with what is wrong. Null: nowhere, because no client is known. */
  readonly redirectUri: string | null
  readonly isImplicit: boolean
  readonly values: Problem | Readonly<Record<string, string>>
}

export async function authorize(exchange: Exchange, state: State, parameters: Parameters): Promise<Exit> {
  const { redirectUri, isImplicit, values } = await decide(exchange, state, parameters)
  const given = parameters.text('state')
  if (redirectUri === null) return problems.problemAnswer(exchange, values as Problem, given)
  const told: Readonly<Record<string, string>> = isProblem(values)
    ? { error: values.error, error_description: values.error_description }
    : values
  const all = { ...told, ...(given === null ? {} : { state: given }) }
  return problems.endpointAnswer(exchange, isProblem(values) ? 400 : 200, {
    redirect_uri: withArguments(redirectUri, all, isImplicit ? '#' : '?'),
  })
}

/** As in Kong what is checked later has the last word. */
async function decide(exchange: Exchange, state: State, parameters: Parameters): Promise<Decision> {
  const { config } = state
  if (!knowsProvisionKey(config, parameters)) return nowhere(problems.INVALID_PROVISION_KEY)
  const userId = parameters.text('authenticated_userid')
  if (userId === null || userId.trim() === '') return nowhere(problems.MISSING_USER)
  const responseType = parameters.text('response_type')
  const isImplicit = responseType === 'token' && config.enable_implicit_grant
  const isCode = responseType === 'code' && config.enable_authorization_code
  let wrong: Problem | null =
    isImplicit || isCode ? null : problem('unsupported_response_type', 'Invalid response_type')
  const scope = requestedScope(parameters, config)
  if (isProblem(scope)) wrong = scope
  const client = await findClient(state.entities, parameters.text('client_id'))
  const registered = client?.redirect_uris ?? []
  if (client === null || registered.length === 0) return nowhere(problems.INVALID_CLIENT)
  const { redirectUri, isRegistered } = redirectUriOf(parameters, registered)
  if (!isRegistered) wrong = problems.INVALID_REDIRECT_URI
  const challenge = isCode ? codeChallenge(parameters, client, config.pkce) : null
  if (isProblem(challenge)) wrong = challenge
  if (wrong !== null || isProblem(scope) || isProblem(challenge))
    return { redirectUri, isImplicit: false, values: wrong! }
  const grant = { credential: client.id, service: state.serviceOf(exchange), scope, userId }
  if (isImplicit) return { redirectUri, isImplicit, values: await implicitValues(exchange, state, grant) }
  const code = await state.tokens.putCode({ ...grant, plugin: state.pluginId, challenge })
  return { redirectUri, isImplicit, values: { code } }
}

async function implicitValues(exchange: Exchange, state: State, grant: Grant): Promise<Record<string, string>> {
  const { accessToken, expiresIn } = await state.tokens.issue(grant, { withRefresh: false }, exchange.now)
  return {
    access_token: accessToken,
    token_type: 'bearer',
    ...(expiresIn === null ? {} : { expires_in: String(expiresIn) }),
  }
}

function nowhere(values: Problem): Decision {
  return { redirectUri: null, isImplicit: false, values }
}

/** Only a registered address, compared as a whole: no part of it is the client's to choose (RFC 9700 2.1). */
function redirectUriOf(parameters: Parameters, registered: readonly string[]) {
  const given = parameters.has('redirect_uri') ? parameters.text('redirect_uri') : registered[0]!
  const isRegistered = given !== null && registered.includes(given)
  return { redirectUri: isRegistered ? given : registered[0]!, isRegistered }
}

function withArguments(uri: string, values: Readonly<Record<string, string>>, mark: '?' | '#'): string {
  if (mark === '#') return `${uri}#${encodeArgs(argsOf(new Map(), values))}`
  const question = uri.indexOf('?')
  const own = parseArgs(question < 0 ? null : toWire(uri.slice(question + 1)))
  return `${question < 0 ? uri : uri.slice(0, question)}?${fromWire(encodeArgs(argsOf(own, values)))}`
}

function argsOf(args: Args, values: Readonly<Record<string, string>>): Args {
  for (const [name, value] of Object.entries(values)) {
    args.delete(name)
    addArg(args, name, toWire(value))
  }
  return args
}
