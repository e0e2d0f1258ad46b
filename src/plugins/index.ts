/** The plugins that this gateway can run. A new plugin is its folder and a line here. */
import type { AnyPlugin } from '#pdk'
import { acl } from './acl/plugin.ts'
import { acme } from './acme/plugin.ts'
import { aiPromptDecorator } from './ai-prompt-decorator/plugin.ts'
import { aiPromptGuard } from './ai-prompt-guard/plugin.ts'
import { aiPromptTemplate } from './ai-prompt-template/plugin.ts'
import { aiProxy } from './ai-proxy/plugin.ts'
import { aiRequestTransformer } from './ai-request-transformer/plugin.ts'
import { aiResponseTransformer } from './ai-response-transformer/plugin.ts'
import { awsLambda } from './aws-lambda/plugin.ts'
import { azureFunctions } from './azure-functions/plugin.ts'
import { basicAuth } from './basic-auth/plugin.ts'
import { botDetection } from './bot-detection/plugin.ts'
import { compression } from './compression/plugin.ts'
import { correlationId } from './correlation-id/plugin.ts'
import { cors } from './cors/plugin.ts'
import { datadog } from './datadog/plugin.ts'
import { deprecation } from './deprecation/plugin.ts'
import { extAuthz } from './ext-authz/plugin.ts'
import { faultInjection } from './fault-injection/plugin.ts'
import { fileLog } from './file-log/plugin.ts'
import { grpcGateway } from './grpc-gateway/plugin.ts'
import { grpcWeb } from './grpc-web/plugin.ts'
import { hmacAuth } from './hmac-auth/plugin.ts'
import { httpLog } from './http-log/plugin.ts'
import { ipRestriction } from './ip-restriction/plugin.ts'
import { jwt } from './jwt/plugin.ts'
import { jwtSigner } from './jwt-signer/plugin.ts'
import { keyAuth } from './key-auth/plugin.ts'
import { ldapAuth } from './ldap-auth/plugin.ts'
import { loggly } from './loggly/plugin.ts'
import { mtlsAuth } from './mtls-auth/plugin.ts'
import { oauth2 } from './oauth2/plugin.ts'
import { oauth2Introspection } from './oauth2-introspection/plugin.ts'
import { opa } from './opa/plugin.ts'
import { openidConnect } from './openid-connect/plugin.ts'
import { opentelemetry } from './opentelemetry/plugin.ts'
import { postFunction } from './post-function/plugin.ts'
import { preFunction } from './pre-function/plugin.ts'
import { problemDetails } from './problem-details/plugin.ts'
import { prometheus } from './prometheus/plugin.ts'
import { proxyCache } from './proxy-cache/plugin.ts'
import { rateLimiting } from './rate-limiting/plugin.ts'
import { redirect } from './redirect/plugin.ts'
import { requestMirror } from './request-mirror/plugin.ts'
import { requestSizeLimiting } from './request-size-limiting/plugin.ts'
import { requestTermination } from './request-termination/plugin.ts'
import { requestTransformer } from './request-transformer/plugin.ts'
import { requestValidator } from './request-validator/plugin.ts'
import { responseRatelimiting } from './response-ratelimiting/plugin.ts'
import { responseTransformer } from './response-transformer/plugin.ts'
import { securityHeaders } from './security-headers/plugin.ts'
import { session } from './session/plugin.ts'
import { standardWebhooks } from './standard-webhooks/plugin.ts'
import { statsd } from './statsd/plugin.ts'
import { syslog } from './syslog/plugin.ts'
import { tcpLog } from './tcp-log/plugin.ts'
import { trafficLimit } from './traffic-limit/plugin.ts'
import { trafficSplit } from './traffic-split/plugin.ts'
import { udpLog } from './udp-log/plugin.ts'
import { zipkin } from './zipkin/plugin.ts'

export const builtPlugins: readonly AnyPlugin[] = [
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
  trafficLimit,
  trafficSplit,
  udpLog,
  zipkin,
]
