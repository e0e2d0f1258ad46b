import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings } from './read.ts'

const PROFILES = { MERIDIAN_REDIS_PROFILES: 'limits=redis://10.1.0.1, far=redis://10.2.0.1' }

const result = (environment: Record<string, string>) =>
  readSettings({
    file: null,
    environment: { ...PROFILES, ...environment },
    overrides: {},
    workingFolder: '/srv',
    cores: 1,
  })

test('data centers have the profiles of their Redis, and one of them is here', () => {
  const answer = result({
    MERIDIAN_REDIS_DATA_CENTERS: 'east=limits, west=far',
    MERIDIAN_REDIS_LOCAL_DATA_CENTER: 'east',
  })
  if (!answer.ok) assert.fail(answer.problems.join('\n'))
  const { redis_data_centers: all, redis_local_data_center: local, redis_exchange_interval: interval } = answer.settings
  assert.deepEqual(all, [
    { name: 'east', profile: 'limits' },
    { name: 'west', profile: 'far' },
  ])
  assert.deepEqual([local, interval], ['east', 200])
})

const LOCAL = { MERIDIAN_REDIS_LOCAL_DATA_CENTER: 'east' }
const WRONG: readonly (readonly [Record<string, string>, string])[] = [
  [
    { MERIDIAN_REDIS_DATA_CENTERS: 'east=limits, west=other', ...LOCAL },
    "MERIDIAN_REDIS_DATA_CENTERS: expected names of profiles in redis_profiles (limits, far), got 'other'",
  ],
  [
    { MERIDIAN_REDIS_DATA_CENTERS: 'east=limits', ...LOCAL },
    "MERIDIAN_REDIS_DATA_CENTERS: expected two data centers or more, got 'east' only",
  ],
  [
    { MERIDIAN_REDIS_DATA_CENTERS: 'east=limits, west=far' },
    'redis_local_data_center: expected one of those in redis_data_centers (east, west), got none',
  ],
  [
    { MERIDIAN_REDIS_DATA_CENTERS: 'east=limits, west=far', MERIDIAN_REDIS_LOCAL_DATA_CENTER: 'north' },
    "MERIDIAN_REDIS_LOCAL_DATA_CENTER: expected one of those in redis_data_centers (east, west), got 'north'",
  ],
  [LOCAL, 'MERIDIAN_REDIS_LOCAL_DATA_CENTER: expected redis_data_centers to be set with it'],
  [
    { MERIDIAN_REDIS_DATA_CENTERS: 'east=limits, east=far', ...LOCAL },
    "MERIDIAN_REDIS_DATA_CENTERS: expected each data center once (at 'east'), got 'east=limits, east=far'",
  ],
]

for (const [environment, problem] of WRONG) {
  test(`refuses ${JSON.stringify(environment)}`, () => {
    const answer = result(environment)
    if (answer.ok) assert.fail('expected problems')
    assert.ok(answer.problems.includes(problem), answer.problems.join('\n'))
  })
}
