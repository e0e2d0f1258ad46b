import { cachePurge } from './cache-purge.ts'
import type { Command } from './command.ts'
import { configParse, configValidate } from './config-validate.ts'
import { doctor } from './doctor.ts'
import { epochBegin } from './epoch-begin.ts'
import { keyringCreate } from './keyring-create.ts'
import { limitReset, limitShow } from './limit-show.ts'
import { log, logDiff } from './log.ts'
import {
  migrationsBootstrap,
  migrationsFinalize,
  migrationsList,
  migrationsStatus,
  migrationsUp,
} from './migrations.ts'
import { nodes } from './nodes.ts'
import { reload } from './reload.ts'
import { rollback } from './rollback.ts'
import { routeExplain } from './route-explain.ts'
import { start } from './start.ts'
import { status } from './status.ts'
import { stop } from './stop.ts'
import { tokenCreate } from './token-create.ts'
import { version } from './version.ts'
import { wait } from './wait.ts'

export const commands: readonly Command[] = [
  start,
  stop,
  reload,
  status,
  nodes,
  wait,
  configValidate,
  configParse,
  log,
  logDiff,
  rollback,
  routeExplain,
  limitShow,
  limitReset,
  cachePurge,
  tokenCreate,
  keyringCreate,
  epochBegin,
  migrationsUp,
  migrationsBootstrap,
  migrationsList,
  migrationsStatus,
  migrationsFinalize,
  doctor,
  version,
]
