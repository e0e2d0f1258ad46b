/** What the settings about data centers with a Redis each have to keep. */
import type { SettingKey, Settings } from '../settings.ts'

export function checkRedisDataCenters(
  settings: Settings,
  placeOf: (key: SettingKey) => string,
  problems: string[],
): void {
  const { redis_data_centers: all, redis_profiles: profiles, redis_local_data_center: named } = settings
  if (all.length === 0) {
    if (named !== null)
      problems.push(`${placeOf('redis_local_data_center')}: expected redis_data_centers to be set with it`)
    return
  }
  const place = placeOf('redis_data_centers')
  for (const { profile } of all) {
    if (profiles.some(({ name }) => name === profile)) continue
    const known = profiles.map(({ name }) => name).join(', ') || 'none'
    problems.push(`${place}: expected names of profiles in redis_profiles (${known}), got '${profile}'`)
  }
  if (all.length < 2) problems.push(`${place}: expected two data centers or more, got '${all[0]!.name}' only`)
  const local = named ?? settings.cassandra_local_datacenter
  const names = all.map(({ name }) => name).join(', ')
  if (local === null)
    problems.push(`redis_local_data_center: expected one of those in redis_data_centers (${names}), got none`)
  else if (!all.some(({ name }) => name === local))
    problems.push(
      `${placeOf('redis_local_data_center')}: expected one of those in redis_data_centers (${names}), got '${local}'`,
    )
}
