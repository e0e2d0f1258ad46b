/** The time to live of entities: given and shown in seconds from now, stored as the moment of their end (`EXPIRES_AT`). */
import { EXPIRES_AT, type Document } from './document.ts'

const LONGEST = 100_000_000

export function isTtl(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LONGEST
}

/** 0 means for ever, as in Kong. */
export function expiryOf(ttl: number | null, nowMs: number): number | null {
  return ttl === null || ttl === 0 ? null : Math.floor(nowMs / 1000) + ttl
}

/** Whether the entity's time to live is over: it counts as deleted. */
export function isExpired(document: Document, nowMs: number): boolean {
  const expiresAt = document[EXPIRES_AT]
  return typeof expiresAt === 'number' && expiresAt * 1000 <= nowMs
}

/** Seconds left, at least 0. */
export function ttlLeft(document: Document, nowMs: number): number | null {
  const expiresAt = document[EXPIRES_AT]
  return typeof expiresAt === 'number' ? Math.max(0, Math.ceil(expiresAt - nowMs / 1000)) : null
}
