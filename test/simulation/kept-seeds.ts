/**
 * Seeds that failed once, with what they found. A seed stands for its schedule only as long as the simulation draws its numbers in
 * the same order: what was found has a test of its own beside the source.
 */
export const KEPT_SEEDS: readonly { readonly seed: number; readonly found: string }[] = []
