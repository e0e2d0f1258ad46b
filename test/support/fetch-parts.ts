/** The first half of `npm run test:parts`: fetches all real components beforehand, so that a later `npm test` needs no network. */
import { isRequiredPart, locatePart, partNames } from './parts.ts'

for (const name of partNames) {
  try {
    const part = await locatePart(name)
    process.stdout.write(`${name}: ${typeof part === 'string' ? part : part.command}\n`)
  } catch (error) {
    process.stdout.write(`${name}: can't be had: ${(error as Error).message}\n`)
    if (isRequiredPart(name)) process.exitCode = 1
  }
}
