import { functionPlugin } from '../functions/plugin.ts'
import { schema } from './schema.ts'

/** Runs functions before all other plugins. */
export const preFunction = functionPlugin(schema)
