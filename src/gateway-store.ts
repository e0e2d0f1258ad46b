/** The configuration side of the main thread: opening the store, the default workspace, the declarative file. */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readFileSync, unwatchFile, watchFile, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hashConfiguration, type ConfigurationHash } from '#admin/configuration-hash.ts'
import { createDeclarative } from '#admin/declarative-source.ts'
import { GatewayError } from '#core/errors.ts'
import type { CheckContext, Model } from '#model/contract.ts'
import { describeProblem } from '#model/declarative/problems.ts'
import { DEFAULT_WORKSPACE } from '#model/document.ts'
import type { Settings } from '#model/settings.ts'
import type { NodeState } from '#store/cluster-view.ts'
import type { ConfigStore, RuntimeStore } from '#store/contract.ts'
import { createGather } from '#store/gather.ts'
import { keyringFromEnvironment, openKeyringFile } from '#store/keyring-file.ts'
import type { Keyring } from '#store/keyring.ts'
import { createMemoryStore } from '#store/memory.ts'
import { createMemoryRuntimeStore } from '#store/runtime-memory.ts'
import { openSqliteRuntimeStore } from '#store/runtime-sqlite.ts'
import { openSqliteStore } from '#store/sqlite.ts'
import { createWriter, type Writer } from '#store/writer.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import { openClusterStore, type ClusterStore } from './gateway-cluster-store.ts'

/** How often the declarative file is looked at. */
const WATCH_MS = 1000

/** The file of short-lived values below the prefix. */
const RUNTIME_FILE = 'runtime.db'

export interface OpenedStore {
  readonly store: ConfigStore
  readonly writer: Writer
  readonly keyring: Keyring
  /** Short-lived values of plugins. */
  readonly runtime: RuntimeStore
  /** Null for a store that only this node has. */
  readonly cassandra: ClusterStore | null
  /** Ends writer and store. */
  close(): Promise<void>
}

/** What a store that others have too needs to know of this node. */
export interface OwnNode {
  readonly id: string
  readonly state: () => NodeState
  readonly log: GatewayLog
}

export async function openStore(settings: Settings, model: Model, node: OwnNode): Promise<OpenedStore> {
  const file = path.join(settings.prefix, 'meridian.db')
  const isEmbedded = settings.database === 'sqlite'
  const keyring = openKeyring(settings, isEmbedded && existsSync(file))
  const common = { definitions: model, keyring, nowMs: Date.now }
  const cassandra =
    settings.database === 'cassandra'
      ? await openClusterStore({ ...common, settings, nodeId: node.id, state: node.state, log: node.log })
      : null
  const store =
    cassandra?.store ?? (isEmbedded ? await openSqliteStore({ ...common, path: file }) : createMemoryStore(common))
  let runtime: RuntimeStore
  try {
    runtime = cassandra?.runtime ?? (await openRuntime(settings, keyring, isEmbedded))
  } catch (error) {
    await (cassandra ?? store).close()
    throw error
  }
  const writer = createWriter({
    ...common,
    store,
    uuid: randomUUID,
    random: Math.random,
    delay: (ms) => delay(ms),
    gather: createGather({
      turn: () => new Promise((resolve) => setImmediate(resolve)),
      delay: (ms) => delay(ms),
    }),
  })
  const close = async (): Promise<void> => {
    await writer.close()
    await runtime.close()
    await (cassandra ?? store).close()
  }
  try {
    await ensureDefaultWorkspace(settings, model, store, writer)
    return { store, writer, keyring, runtime, cassandra, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Of a node that shares no store: in a file beside the configuration, or in memory, where nothing is kept at all. */
async function openRuntime(settings: Settings, keyring: Keyring, isEmbedded: boolean): Promise<RuntimeStore> {
  return isEmbedded
    ? await openSqliteRuntimeStore({ path: path.join(settings.prefix, RUNTIME_FILE), keyring, nowMs: Date.now })
    : createMemoryRuntimeStore({ nowMs: Date.now })
}

function openKeyring(settings: Settings, isStoreThere: boolean): Keyring {
  if (settings.database === 'cassandra' && settings.keyring_file === null && settings.keyring_env === null) {
    throw new GatewayError(
      'SETTINGS_INVALID',
      'keyring_file: expected the keyring of the cluster (or keyring_env) with database = cassandra: the same on all nodes, or none can read what another wrote. `meridian keyring create FILE` makes one',
    )
  }
  if (settings.keyring_env !== null)
    return keyringFromEnvironment(settings.keyring_env, process.env[settings.keyring_env], randomBytes)
  return openKeyringFile({
    path: settings.keyring_file ?? path.join(settings.prefix, 'keyring'),
    randomBytes,
    // A store without its keyring must not get another one: its secrets would be lost in silence.
    create: settings.keyring_file === null && !isStoreThere,
    newKeyId: new Date().toISOString().slice(0, 10),
  })
}

/** The node's id: from the settings, else made once and kept. */
export function nodeIdOf(settings: Settings): string {
  if (settings.node_id !== null) return settings.node_id
  const file = path.join(settings.prefix, 'node-id')
  if (existsSync(file)) return readFileSync(file, 'utf8').trim()
  const id = randomUUID()
  writeFileSync(file, `${id}\n`, { mode: 0o644 })
  return id
}

export function checkContext(settings: Pick<Settings, 'router_flavor'>, atMs: number): CheckContext {
  return {
    nowMs: atMs,
    uuid: randomUUID,
    // 32 alphanumerics, as Kong makes keys: 24 bytes are 32 base64 characters, and the two others of base64 are replaced.
    randomText: () => randomBytes(24).toString('base64').replaceAll('+', 'a').replaceAll('/', 'b'),
    routerFlavor: settings.router_flavor,
  }
}

/** The workspace that everything is in unless a request names another. */
async function ensureDefaultWorkspace(
  settings: Settings,
  model: Model,
  store: ConfigStore,
  writer: Writer,
): Promise<void> {
  if ((await store.get('workspaces', DEFAULT_WORKSPACE)) !== undefined) return
  const made = model.insert(
    'workspaces',
    { id: DEFAULT_WORKSPACE, name: 'default' },
    checkContext(settings, Date.now()),
  )
  if (!made.ok) throw new Error(`the default workspace: ${JSON.stringify(made.fields)}`)
  await writer.write(
    async (state) => ({
      operations: (await state.get('workspaces', DEFAULT_WORKSPACE))
        ? []
        : [{ op: 'put', kind: 'workspaces', workspace: '', document: made.document }],
    }),
    { origin: { actor: 'meridian', via: 'start' } },
  )
}

export interface DeclarativeFileOptions {
  readonly settings: Settings
  readonly model: Model
  readonly writer: Writer
  readonly log: GatewayLog
  readonly hash: ConfigurationHash
  /** Told when a file that changed could not be taken; the configuration before stays. */
  readonly onRejected: () => void
}

/** The declarative configuration of the settings: loaded at the start, and again whenever its file changes. */
export class DeclarativeFile {
  readonly #options: DeclarativeFileOptions
  #isWatching = false

  constructor(options: DeclarativeFileOptions) {
    this.#options = options
  }

  /** Loads what the settings name; rejects with DECLARATIVE_INVALID and every problem. */
  async load(): Promise<void> {
    const { declarative_config: file, declarative_config_string: text } = this.#options.settings
    if (file !== null) await this.#apply(readFile(file), file)
    else if (text !== null) await this.#apply(text, 'declarative_config_string')
  }

  /** From now on a change of the file is taken over; one that is wrong is told and changes nothing. */
  watch(): void {
    const { declarative_config: file } = this.#options.settings
    if (file === null || this.#isWatching) return
    this.#isWatching = true
    watchFile(file, { interval: WATCH_MS, persistent: false }, (now, before) => {
      if (now.mtimeMs !== before.mtimeMs || now.size !== before.size || now.ino !== before.ino) void this.#reload(file)
    })
  }

  close(): void {
    const { declarative_config: file } = this.#options.settings
    if (file !== null && this.#isWatching) unwatchFile(file)
  }

  async #reload(file: string): Promise<void> {
    const { log } = this.#options.log
    try {
      await this.#apply(readFile(file), file)
      log.info({ file }, 'the declarative file changed and is loaded')
    } catch (error) {
      this.#options.onRejected()
      log.error(
        { file, problems: error instanceof GatewayError ? error.details : undefined, err: error },
        'the declarative file changed and is wrong, the configuration before stays',
      )
    }
  }

  async #apply(text: string, file: string): Promise<void> {
    const { model, settings, writer, hash } = this.#options
    const declarative = createDeclarative({ model, nowMs: Date.now })
    const result = await writer.write<GatewayError>(
      async (state) => {
        const loaded = await declarative.load({ text }, state, {
          check: checkContext(settings, Date.now()),
          flattensErrors: false,
          file,
        })
        if (loaded.ok) return { operations: loaded.operations }
        const details = loaded.problems.map(describeProblem)
        return {
          refusal: new GatewayError(
            'DECLARATIVE_INVALID',
            details.length === 1 ? details[0]! : `${details.length} problems`,
            { details },
          ),
        }
      },
      { origin: { actor: 'file', via: 'declarative' } },
    )
    if (result.outcome === 'refused') throw result.refusal
    if (result.outcome !== 'appended' && result.outcome !== 'unchanged')
      throw new GatewayError('DECLARATIVE_INVALID', `${file}: ${JSON.stringify(result)}`)
    hash.set(hashConfiguration(text))
  }
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new GatewayError(
      'DECLARATIVE_INVALID',
      `${file}: expected a file that can be read (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    )
  }
}
