import { functionPlugin } from '../functions/plugin.ts'
import { schema } from './schema.ts'

/** Runs functions after all other plugins. */
export const postFunction = functionPlugin(schema)
