/**
 * How often a test repeats what gains by repetition: `usual` in `npm test`, `full` in `npm run test:fault`, `npm run test:fuzz`
 * and `npm run test:simulation`.
 */
export function effort(usual: number, full: number): number {
  return isFullEffort() ? full : usual
}

export function isFullEffort(): boolean {
  return process.env['MERIDIAN_TEST_EFFORT'] === 'full'
}
