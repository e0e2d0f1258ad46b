/**
 * An identity provider for examples and tests: oidc-provider, with accounts in memory and without a password. Of no use for anything
 * else. `node identity-provider.mjs PORT GATEWAY ACCESS_TOKEN_SECONDS` after `npm install oidc-provider`.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Provider } from 'oidc-provider'

const [port = '9002', gateway = 'http://127.0.0.1:8000', seconds = '60'] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const RESOURCE = 'https://orders.example'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }

const client = (client_id, more) => ({
  client_id,
  client_secret: `${client_id}-secret-that-is-long-enough`,
  redirect_uris: [],
  response_types: [],
  ...more,
})

/** A web application behind the gateway, at a path of its own. */
const web = (client_id, path, more) =>
  client(client_id, {
    redirect_uris: [`${gateway}${path}/callback`],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    post_logout_redirect_uris: [`${gateway}/bye`],
    backchannel_logout_uri: `${gateway}${path}/backchannel`,
    backchannel_logout_session_required: true,
    ...more,
  })

const provider = new Provider(issuer, {
  clients: [
    web('web', '/web', {}),
    web('post', '/post', { token_endpoint_auth_method: 'client_secret_post' }),
    web('jwt', '/jwt', { token_endpoint_auth_method: 'client_secret_jwt' }),
    client('batch', { grant_types: ['client_credentials'] }),
  ],
  jwks: { keys: [key] },
  // Whoever comes is this account: an example needs no login page.
  findAccount: (_context, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: 'Ann', email: 'ann@example.com', groups: ['staff', 'admins'] }),
  }),
  claims: { openid: ['sub', 'groups'], profile: ['name'], email: ['email'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  ttl: { AccessToken: Number(seconds), ClientCredentials: 600, IdToken: 600, Session: 600, Grant: 600, RefreshToken: 600, Interaction: 60 },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  cookies: { keys: ['of this process'] },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (context, form) => {
        context.body = form
      },
    },
    resourceIndicators: {
      enabled: true,
      // A client that names no resource gets tokens that only introspection can read.
      defaultResource: () => undefined,
      useGrantedResource: () => false,
      getResourceServerInfo: () => ({
        scope: 'orders:read orders:write',
        audience: RESOURCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
      }),
    },
  },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
})

// Logs in and consents without asking.
provider.use(async (context, next) => {
  if (!context.path.startsWith('/interaction/')) return next()
  const { prompt, params } = await provider.interactionDetails(context.req, context.res)
  if (prompt.name === 'login') {
    await provider.interactionFinished(context.req, context.res, { login: { accountId: 'ann' } })
  } else {
    const grant = new provider.Grant({ accountId: 'ann', clientId: params.client_id })
    grant.addOIDCScope(String(params.scope))
    const grantId = await grant.save()
    await provider.interactionFinished(context.req, context.res, { consent: { grantId } }, { mergeWithLastSubmission: true })
  }
  context.respond = false
})

const server = provider.listen(Number(port), '127.0.0.1')
await once(server, 'listening')
console.log(`the identity provider listens on ${issuer}`)
