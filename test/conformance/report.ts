/** Results of suites that others wrote, kept in docs/conformance.json and shown in docs/conformance.md. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { withMarked } from '../support/marked-part.ts'

const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')
const JSON_FILE = path.join(DOCS, 'conformance.json')
const PAGE = path.join(DOCS, 'conformance.md')

export interface SuiteResult {
  readonly suite: string
  readonly version: string
  readonly against: string
  /** What the gateway did, in numbers. */
  readonly result: string
  /** The same without the gateway, or with another in its place; '' where there is none. */
  readonly compared: string
  /** What did not hold, each by its name in the suite. */
  readonly findings: readonly string[]
  /** YYYY-MM-DD. */
  readonly date: string
}

/** Puts results in the place of those of the same suite and target, and renews the page; what was not run stays as it was. */
export function record(...results: readonly SuiteResult[]): void {
  const all = new Map(readResults().map((result) => [keyOf(result), result]))
  for (const result of results) all.set(keyOf(result), result)
  const sorted = [...all.values()].toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  writeFileSync(JSON_FILE, `${JSON.stringify(sorted, null, 2)}\n`)
  writeFileSync(PAGE, withResults(readFileSync(PAGE, 'utf8'), sorted))
}

export function readResults(): SuiteResult[] {
  return existsSync(JSON_FILE) ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as SuiteResult[]) : []
}

/** The page with what stands between its markers replaced. */
export function withResults(page: string, results: readonly SuiteResult[]): string {
  const rows = results.map(
    ({ suite, version, against, result, compared, date }) =>
      `| ${suite} ${version} | ${against} | ${result} | ${compared} | ${date} |`,
  )
  const findings = results.flatMap(({ suite, against, findings }) =>
    findings.map((finding) => `- ${suite}, ${against}: ${finding}`),
  )
  return withMarked(page, 'results', [
    '| suite | against | result | compared | run on |',
    '|---|---|---|---|---|',
    ...rows,
    ...(findings.length === 0 ? [] : ['', 'What did not hold:', ...findings]),
  ])
}

export const today = (): string => new Date().toISOString().slice(0, 10)

function keyOf({ suite, against }: SuiteResult): string {
  return `${suite} ${against}`
}
