/** The Admin API against its own description: random requests, valid and not, must get answers that it describes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { builtPlugins } from '#plugins/index.ts'
import { effort, isFullEffort } from '../support/effort.ts'
import { startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { runChild } from '../support/process.ts'

const USUAL_TIMEOUT_MS = 240_000
const FULL_TIMEOUT_MS = 3_600_000

interface Schema {
  allOf?: readonly Condition[]
  anyOf?: readonly object[]
  [keyword: string]: unknown
}

interface Condition {
  readonly anyOf?: readonly [
    { readonly not?: { readonly properties?: { readonly name?: { readonly const?: string } } } },
    { readonly properties?: object },
  ]
}

interface Description {
  readonly paths: Readonly<Record<string, object>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/**
 * The description in a form from which the fuzzer can make bodies: it gives up on the many conditions between fields of
 * routes, and on 'if the name is x the config is of x', which is said here as a choice.
 */
function generatable(description: Description): Description {
  const { routes, plugins } = description.components.schemas
  assert.ok(routes?.allOf && plugins?.allOf, 'the description has other names or forms than this test knows')
  const choices = plugins.allOf.flatMap(({ anyOf }) => {
    const name = anyOf?.[0].not?.properties?.name?.const
    return name === undefined ? [] : [{ properties: { name: { const: name }, ...anyOf?.[1].properties } }]
  })
  assert.equal(choices.length, builtPlugins.length, 'one choice for each plugin that there is')
  delete routes.allOf
  delete plugins.allOf
  plugins.anyOf = choices
  return description
}

test('random requests to the Admin API get no 5xx and only answers that /openapi.json describes', async (t) => {
  const program = await requirePart(t, 'schemathesis')
  if (!program) return
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-fuzz-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  await using gateway = await startGateway({ database: 'sqlite' })
  const response = await fetch(`${gateway.adminUrl}/openapi.json`)
  const description = generatable((await response.json()) as Description)
  const file = path.join(folder, 'openapi.json')
  writeFileSync(file, JSON.stringify(description))

  // Kept from run to run unless all effort is asked for: what failed once fails again.
  const seed = isFullEffort() ? Math.floor(Math.random() * 2 ** 31) : 1
  t.diagnostic(`seed ${seed}`)
  const { code, output } = await runChild({
    command: program.command,
    args: [
      '-m',
      'schemathesis.cli',
      'run',
      file,
      `--url=${gateway.adminUrl}`,
      `--seed=${seed}`,
      `--max-examples=${effort(5, 200)}`,
      '--phases=fuzzing',
      // Waits as long as it is told to, and then says 504: its one purpose.
      '--exclude-path=/cluster/revision',
      '--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance',
      '--generation-database=none',
      '--request-timeout=10',
      '--warnings=off',
      '--no-color',
    ],
    cwd: folder,
    env: { ...process.env, ...program.env },
    timeoutMs: isFullEffort() ? FULL_TIMEOUT_MS : USUAL_TIMEOUT_MS,
  })
  assert.equal(code, 0, output.slice(0, 20_000))
  const [, passed] = /(\d+) passed/.exec(output) ?? []
  assert.ok(Number(passed) >= Object.keys(description.paths).length, `only ${passed} operations were tried`)
})
