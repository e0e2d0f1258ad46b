/** Turns what a command throws into a message and an exit code: the one place where the command line explains failures. */
import { GatewayError } from '#core/errors.ts'
import type { CliContext } from './command.ts'
import { exitCodeOf, exitCodes } from './exit-code.ts'

export function explainFailure(context: CliContext, error: unknown, asJson: boolean): number {
  if (!(error instanceof GatewayError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    context.stderr.write(`meridian: unexpected failure, this is a mistake in the program\n${text}\n`)
    return exitCodes.failed
  }
  const { code, message, remedy, details } = error
  if (asJson) {
    context.stderr.write(`${JSON.stringify({ code, message, details, remedy })}\n`)
  } else {
    context.stderr.write(`meridian: ${message}\n`)
    for (const detail of details) if (detail !== message) context.stderr.write(`  ${detail}\n`)
    context.stderr.write(`  ${remedy}\n`)
  }
  return exitCodeOf(code)
}
