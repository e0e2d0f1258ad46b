/** testssl.sh: what it finds on a TLS port, with its severities. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from '../support/parts.ts'
import { runChild } from '../support/process.ts'

export interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

const ABOVE_LOW = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'])

/** @param authority file of the authority that the certificate is of */
export async function runTestssl(program: Program, port: number, authority: string): Promise<readonly Finding[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-testssl-'))
  const report = path.join(folder, 'report.json')
  try {
    const { output } = await runChild({
      command: program.command,
      args: [
        '--jsonfile',
        report,
        '--color',
        '0',
        '--warnings',
        'batch',
        '--nodns',
        'none',
        '--openssl',
        '/usr/bin/openssl',
        '--add-ca',
        authority,
        '--ip',
        '127.0.0.1',
        `localhost:${port}`,
      ],
      cwd: folder,
      env: { ...process.env, ...program.env },
      name: 'testssl',
      timeoutMs: 600_000,
    })
    const findings = JSON.parse(readFileSync(report, 'utf8')) as Finding[]
    // It looks at some hundred things; a report of a few is of a scan that could not begin.
    if (findings.length < 100) throw new Error(`testssl looked at ${findings.length} things\n${output.slice(-2000)}`)
    return findings
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export function aboveLow(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ severity }) => ABOVE_LOW.has(severity))
}
