/** The one place that loads QuickJS: once a thread, when the first configuration with functions comes. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { QuickJSSyncVariant, QuickJSWASMModule } from 'quickjs-emscripten-core'

let loading: Promise<QuickJSWASMModule> | null = null

export function loadQuickJs(): Promise<QuickJSWASMModule> {
  return (loading ??= load())
}

async function load(): Promise<QuickJSWASMModule> {
  const [{ default: variant }, { newQuickJSWASMModuleFromVariant, newVariant }] = await Promise.all([
    import('@jitl/quickjs-wasmfile-release-sync'),
    import('quickjs-emscripten-core'),
  ])
  // The bundle has it beside itself, the sources in the package that it comes from.
  const bundled = new URL('./quickjs.wasm', import.meta.url)
  const file = existsSync(bundled) ? bundled : new URL(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm'))
  const bytes = await readFile(file)
  const wasmBinary = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  // Its types are those of the CommonJS form, where the variant is a level deeper.
  return newQuickJSWASMModuleFromVariant(newVariant(variant as unknown as QuickJSSyncVariant, { wasmBinary }))
}
