/** The policies that a response may carry, by the field of the configuration that says them, with the header of each. */
export const HEADERS = {
  strict_transport_security: 'Strict-Transport-Security',
  content_security_policy: 'Content-Security-Policy',
  content_type_options: 'X-Content-Type-Options',
  frame_options: 'X-Frame-Options',
  referrer_policy: 'Referrer-Policy',
  permissions_policy: 'Permissions-Policy',
  cross_origin_opener_policy: 'Cross-Origin-Opener-Policy',
  cross_origin_embedder_policy: 'Cross-Origin-Embedder-Policy',
  cross_origin_resource_policy: 'Cross-Origin-Resource-Policy',
  reporting_endpoints: 'Reporting-Endpoints',
} as const

export type PolicyField = keyof typeof HEADERS
export const FIELDS = Object.keys(HEADERS) as PolicyField[]

/**
 * What goes out where nothing else is said. `api`: responses that no browser shows (OWASP REST Security Cheat Sheet). `web`: pages that
 * work as before, but not in frames of others. `isolated`: pages that share nothing with other origins.
 */
export const PRESETS: Readonly<Record<string, Readonly<Partial<Record<PolicyField, string>>>>> = {
  none: {},
  api: {
    strict_transport_security: 'max-age=31536000',
    content_security_policy: "default-src 'none'; frame-ancestors 'none'",
    content_type_options: 'nosniff',
    frame_options: 'DENY',
    referrer_policy: 'no-referrer',
  },
  web: {
    strict_transport_security: 'max-age=31536000',
    content_security_policy: "object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
    content_type_options: 'nosniff',
    frame_options: 'SAMEORIGIN',
    referrer_policy: 'strict-origin-when-cross-origin',
    cross_origin_opener_policy: 'same-origin-allow-popups',
  },
  isolated: {
    strict_transport_security: 'max-age=63072000; includeSubDomains',
    content_security_policy:
      "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    content_type_options: 'nosniff',
    frame_options: 'DENY',
    referrer_policy: 'no-referrer',
    permissions_policy: 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    cross_origin_opener_policy: 'same-origin',
    cross_origin_embedder_policy: 'require-corp',
    cross_origin_resource_policy: 'same-origin',
  },
}
