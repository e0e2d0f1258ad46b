/** Protocols below HTTP: Kong's stream subsystem. */
const NAMES = ['tcp', 'tls', 'tls_passthrough', 'udp'] as const

export type StreamProtocol = (typeof NAMES)[number]

export const STREAM_PROTOCOLS: ReadonlySet<unknown> = new Set(NAMES)
