/**
 * The libraries that read JSON Schema and OpenAPI documents. Loading them takes a tenth of a second, so this file is a door of its own
 * that is opened when the first configuration needs it (`json-schema.ts`), and nothing else imports it.
 */
export { Ajv } from 'ajv'
export { Ajv2019 } from 'ajv/dist/2019.js'
export { Ajv2020 } from 'ajv/dist/2020.js'
export { default as AjvDraft04 } from 'ajv-draft-04'
export { default as draft6 } from 'ajv/dist/refs/json-schema-draft-06.json' with { type: 'json' }
export { fullFormats } from 'ajv-formats/dist/formats.js'
export { parse as parseYaml } from 'yaml'
