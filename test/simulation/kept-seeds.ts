/**
 * Seeds that failed once, with what they found. A seed stands for its schedule only as long as the simulation draws its numbers in
 * the same order: what was found has a test of its own beside the source.
 */
export const KEPT_SEEDS: readonly { readonly seed: number; readonly found: string }[] = [
  {
    seed: 4330,
    found: 'of two open transactions of one slot the first is told not to be done when it is asked for again',
  },
  { seed: 378, found: 'the row of the log at the watermark is not in this data center, for good' },
  {
    seed: 3967,
    found: 'a row of the log that leads to newer rows of the projection is not in this data center, for good',
  },
]
