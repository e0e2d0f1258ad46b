#!/usr/bin/env node
/** The command `meridian`: hands the command line what it may start, and ends with its exit code. */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { runCli } from '#cli/cli.ts'
import { setCollectorFlags } from './collector-flags.ts'
import { keepCompiled, useCompileCache } from './compile-cache.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  workingFolder: process.cwd(),
  cores: availableParallelism(),
  version,
  async run(read) {
    // Before the rest is loaded, so that a later start takes compiled code from the prefix; V8 refuses what was compiled under other flags.
    const { enableLinearRegexFallback } = await import('#core/pcre.ts')
    enableLinearRegexFallback()
    setCollectorFlags()
    useCompileCache(read.settings.prefix)
    const [{ startGateway }, { loadPluginSet }] = await Promise.all([import('./gateway.ts'), import('./plugin-set.ts')])
    return startGateway({ read, plugins: await loadPluginSet(read.settings), version, beforeReady: keepCompiled })
  },
  async checkDeclarative(read, { path: file, text }) {
    const [{ gatewayModel }, { loadPluginSet }, { checkContext }, { loadDeclarative }, { describeProblem }] =
      await Promise.all([
        import('./gateway-model.ts'),
        import('./plugin-set.ts'),
        import('./gateway-store.ts'),
        import('#model/declarative/load.ts'),
        import('#model/declarative/problems.ts'),
      ])
    const model = gatewayModel(await loadPluginSet(read.settings), read.settings)
    const loaded = loadDeclarative({ text, file }, { model, context: checkContext(read.settings, Date.now()) })
    if (!loaded.ok) return { ok: false, problems: loaded.problems.map(describeProblem) }
    const counts: Record<string, number> = {}
    for (const { kind } of loaded.entries) counts[kind] = (counts[kind] ?? 0) + 1
    return { ok: true, counts }
  },
  async openCassandra(settings) {
    // Only few commands need the driver.
    const { openCassandra } = await import('./gateway-cassandra.ts')
    return openCassandra(settings)
  },
})
