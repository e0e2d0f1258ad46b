/** For tests of reports: where figures are from. */
import type { Provenance } from './machine.ts'

export const aMachine: Provenance = {
  at: '2026-11-25T18:00:00.000Z',
  commit: 'abc',
  cpu: 'a processor',
  cores: 2,
  memoryMiB: 1024,
  kernel: '6',
  node: 'v26',
  nginx: 'nginx',
}
