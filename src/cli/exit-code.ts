/** Exit codes of every command: documented in docs/reference/cli.md, so scripts may rely on them. */
import type { ErrorCode } from '#core/errors.ts'

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  invalid: 3,
  unreachable: 4,
  refused: 5,
  blocked: 6,
  pending: 7,
  interrupted: 8,
  lagging: 9,
} as const

export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  done: 'What was asked for is done.',
  failed: 'It was not done; the message says why.',
  usage: 'The command line is wrong.',
  invalid: 'Settings, certificates or a declarative file have errors.',
  unreachable: 'No gateway runs here, or the Admin API or the Cassandra cluster does not answer.',
  refused:
    'The Admin API refused (no permission, no such revision, a conflict), or Cassandra did; or its keyspace is of a newer version.',
  blocked: 'The gateway can not start here: a port is taken, the prefix folder can not be used, one runs already.',
  pending: 'The keyspace lacks migrations of this version.',
  interrupted: 'Migrations stopped half-way, or another process applies them. Nothing is lost; repeat the command.',
  lagging: 'Not every node that is up serves the revision; those that lag are listed.',
}

const BY_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  USAGE: exitCodes.usage,
  SETTINGS_INVALID: exitCodes.invalid,
  CERTIFICATE_INVALID: exitCodes.invalid,
  DECLARATIVE_INVALID: exitCodes.invalid,
  NOT_RUNNING: exitCodes.unreachable,
  ADMIN_UNREACHABLE: exitCodes.unreachable,
  ADMIN_REFUSED: exitCodes.refused,
  PREFIX_UNUSABLE: exitCodes.blocked,
  PORT_BUSY: exitCodes.blocked,
  PORT_FORBIDDEN: exitCodes.blocked,
  ADDRESS_UNAVAILABLE: exitCodes.blocked,
  ALREADY_RUNNING: exitCodes.blocked,
  CASSANDRA_UNREACHABLE: exitCodes.unreachable,
  CASSANDRA_REFUSED: exitCodes.refused,
  CASSANDRA_FAILED: exitCodes.interrupted,
  SCHEMA_PENDING: exitCodes.pending,
  SCHEMA_NEWER: exitCodes.refused,
  SCHEMA_DISAGREEMENT: exitCodes.interrupted,
  MIGRATIONS_BUSY: exitCodes.interrupted,
}

export function exitCodeOf(code: ErrorCode): number {
  return BY_CODE[code] ?? exitCodes.failed
}
