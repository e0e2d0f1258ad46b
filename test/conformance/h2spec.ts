/** h2spec: RFC 7540 and RFC 7541, each of its tests by name. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from '../support/parts.ts'
import { runChild } from '../support/process.ts'

export interface H2specRun {
  readonly total: number
  /** `section: what it says`. */
  readonly failed: readonly string[]
}

/** Runs all tests, or those of some sections, against a port of loopback. */
export async function runH2spec(
  program: Program,
  port: number,
  isTls: boolean,
  sections: readonly string[] = [],
): Promise<H2specRun> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-h2spec-'))
  const report = path.join(folder, 'report.xml')
  try {
    const { output } = await runChild({
      command: program.command,
      args: [
        '-h',
        '127.0.0.1',
        '-p',
        String(port),
        '-o',
        '5',
        '-j',
        report,
        ...(isTls ? ['-t', '-k'] : []),
        ...sections,
      ],
      name: 'h2spec',
      timeoutMs: 300_000,
    })
    const total = Number(/^(\d+) tests, /m.exec(output)?.[1] ?? 0)
    if (total === 0) throw new Error(`h2spec did not run to its end\n${output.slice(-2000)}`)
    return { total, failed: failuresOf(readFileSync(report, 'utf8')) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const FAILED = /<testcase package="([^"]+)" classname="([^"]+)"[^>]*>\s*<(?:failure|error)/g

function failuresOf(xml: string): string[] {
  return [...xml.matchAll(FAILED)].map(([, section = '', text = '']) => `${section}: ${unescape(text)}`).toSorted()
}

function unescape(text: string): string {
  return text
    .replaceAll('&#34;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}
