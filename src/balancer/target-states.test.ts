import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TargetHealthReport, UpstreamHealthReport } from './health-report.ts'
import { targetStates } from './target-states.ts'

const WEIGHT = { total: 1, available: 1, unavailable: 0 }

function report(targets: Record<string, readonly TargetHealthReport['health'][]>): UpstreamHealthReport {
  return {
    balancer: { health: 'HEALTHY' },
    targets: Object.entries(targets).map(([target, states]) => ({
      target,
      health: 'HEALTHY',
      data: {
        host: target,
        port: 80,
        dns: 'A',
        nodeWeight: 100,
        weight: WEIGHT,
        addresses: states.map((health, at) => ({ ip: `10.0.0.${at}`, port: 80, weight: 1, health })),
      },
    })),
  }
}

test('each address of each target is a row, a target without one says dns_error', () => {
  const reports = [['u', report({ 'a:80': ['HEALTHY', 'UNHEALTHY'], 'b:80': [] })]] as const
  assert.deepEqual(targetStates(reports, 10), {
    rows: [
      ['u', 'a:80', '10.0.0.0:80', 'healthy'],
      ['u', 'a:80', '10.0.0.1:80', 'unhealthy'],
      ['u', 'b:80', '', 'dns_error'],
    ],
    left: 0,
  })
})

test('no more rows than allowed, and what is left out is counted', () => {
  const one = report({ 'a:80': ['HEALTHCHECKS_OFF', 'HEALTHCHECKS_OFF'] })
  const { rows, left } = targetStates(
    [
      ['u', one],
      ['v', one],
    ] as const,
    3,
  )
  assert.deepEqual([rows.map(([upstream]) => upstream), left], [['u', 'u', 'v'], 1])
})
