import { cliReference } from '#cli/help.ts'
import { errorsReference } from '#core/errors.ts'
import { sampleFile, settingsReference } from '#model/settings/reference.ts'

/** The pages of docs/reference/ that are derived from definitions, by file name. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ['settings.md', settingsReference()],
    ['cli.md', cliReference()],
    ['errors.md', errorsReference()],
    ['meridian.conf.default', sampleFile()],
  ])
}
