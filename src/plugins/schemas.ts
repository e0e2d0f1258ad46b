/** Every plugin whose configuration validates, and the tables of the plugins; which of them can run is said elsewhere. */
import type { EntityDefinition, PluginSchema } from '#pdk'
import { acls } from './acl/entities.ts'
import { schema as acl } from './acl/schema.ts'
import { acmeStorage } from './acme/entities.ts'
import { schema as acme } from './acme/schema.ts'
import { schema as aiPromptDecorator } from './ai-prompt-decorator/schema.ts'
import { schema as aiPromptGuard } from './ai-prompt-guard/schema.ts'
import { schema as aiPromptTemplate } from './ai-prompt-template/schema.ts'
import { schema as aiProxy } from './ai-proxy/schema.ts'
import { schema as aiRequestTransformer } from './ai-request-transformer/schema.ts'
import { schema as aiResponseTransformer } from './ai-response-transformer/schema.ts'
import { schema as awsLambda } from './aws-lambda/schema.ts'
import { schema as azureFunctions } from './azure-functions/schema.ts'
import { basicauthCredentials } from './basic-auth/entities.ts'
import { schema as basicAuth } from './basic-auth/schema.ts'
import { schema as botDetection } from './bot-detection/schema.ts'
import { schema as compression } from './compression/schema.ts'
import { schema as correlationId } from './correlation-id/schema.ts'
import { schema as cors } from './cors/schema.ts'
import { schema as datadog } from './datadog/schema.ts'
import { schema as deprecation } from './deprecation/schema.ts'
import { schema as extAuthz } from './ext-authz/schema.ts'
import { schema as faultInjection } from './fault-injection/schema.ts'
import { schema as fileLog } from './file-log/schema.ts'
import { schema as grpcGateway } from './grpc-gateway/schema.ts'
import { schema as grpcWeb } from './grpc-web/schema.ts'
import { hmacauthCredentials } from './hmac-auth/entities.ts'
import { schema as hmacAuth } from './hmac-auth/schema.ts'
import { schema as httpLog } from './http-log/schema.ts'
import { schema as ipRestriction } from './ip-restriction/schema.ts'
import { jwtSecrets } from './jwt/entities.ts'
import { schema as jwt } from './jwt/schema.ts'
import { schema as jwtSigner } from './jwt-signer/schema.ts'
import { keyauthCredentials } from './key-auth/entities.ts'
import { schema as keyAuth } from './key-auth/schema.ts'
import { schema as ldapAuth } from './ldap-auth/schema.ts'
import { schema as loggly } from './loggly/schema.ts'
import { mtlsAuthCredentials } from './mtls-auth/entities.ts'
import { schema as mtlsAuth } from './mtls-auth/schema.ts'
import { oauth2Credentials, oauth2AuthorizationCodes, oauth2Tokens } from './oauth2/entities.ts'
import { schema as oauth2 } from './oauth2/schema.ts'
import { schema as oauth2Introspection } from './oauth2-introspection/schema.ts'
import { schema as opa } from './opa/schema.ts'
import { schema as openidConnect } from './openid-connect/schema.ts'
import { schema as opentelemetry } from './opentelemetry/schema.ts'
import { schema as postFunction } from './post-function/schema.ts'
import { schema as preFunction } from './pre-function/schema.ts'
import { schema as problemDetails } from './problem-details/schema.ts'
import { schema as prometheus } from './prometheus/schema.ts'
import { proxyCachePurges } from './proxy-cache/entities.ts'
import { schema as proxyCache } from './proxy-cache/schema.ts'
import { ratelimitingMetrics } from './rate-limiting/entities.ts'
import { schema as rateLimiting } from './rate-limiting/schema.ts'
import { schema as redirect } from './redirect/schema.ts'
import { schema as requestMirror } from './request-mirror/schema.ts'
import { schema as requestSizeLimiting } from './request-size-limiting/schema.ts'
import { schema as requestTermination } from './request-termination/schema.ts'
import { schema as requestTransformer } from './request-transformer/schema.ts'
import { schema as requestValidator } from './request-validator/schema.ts'
import { schema as responseRatelimiting } from './response-ratelimiting/schema.ts'
import { schema as responseTransformer } from './response-transformer/schema.ts'
import { sessions } from './session/entities.ts'
import { schema as securityHeaders } from './security-headers/schema.ts'
import { schema as session } from './session/schema.ts'
import { schema as standardWebhooks } from './standard-webhooks/schema.ts'
import { schema as statsd } from './statsd/schema.ts'
import { schema as syslog } from './syslog/schema.ts'
import { schema as tcpLog } from './tcp-log/schema.ts'
import { schema as trafficSplit } from './traffic-split/schema.ts'
import { schema as udpLog } from './udp-log/schema.ts'
import { schema as zipkin } from './zipkin/schema.ts'

export const pluginSchemas: readonly PluginSchema[] = [
  acl,
  acme,
  aiPromptDecorator,
  aiPromptGuard,
  aiPromptTemplate,
  aiProxy,
  aiRequestTransformer,
  aiResponseTransformer,
  awsLambda,
  azureFunctions,
  basicAuth,
  botDetection,
  compression,
  correlationId,
  cors,
  datadog,
  deprecation,
  extAuthz,
  faultInjection,
  fileLog,
  grpcGateway,
  grpcWeb,
  hmacAuth,
  httpLog,
  ipRestriction,
  jwt,
  jwtSigner,
  keyAuth,
  ldapAuth,
  loggly,
  mtlsAuth,
  oauth2,
  oauth2Introspection,
  opa,
  openidConnect,
  opentelemetry,
  postFunction,
  preFunction,
  problemDetails,
  prometheus,
  proxyCache,
  rateLimiting,
  redirect,
  requestMirror,
  requestSizeLimiting,
  requestTermination,
  requestTransformer,
  requestValidator,
  responseRatelimiting,
  responseTransformer,
  securityHeaders,
  session,
  standardWebhooks,
  statsd,
  syslog,
  tcpLog,
  trafficSplit,
  udpLog,
  zipkin,
]

export const pluginEntities: readonly EntityDefinition[] = [
  acls,
  acmeStorage,
  basicauthCredentials,
  hmacauthCredentials,
  jwtSecrets,
  keyauthCredentials,
  mtlsAuthCredentials,
  oauth2Credentials,
  oauth2AuthorizationCodes,
  oauth2Tokens,
  proxyCachePurges,
  ratelimitingMetrics,
  sessions,
]
