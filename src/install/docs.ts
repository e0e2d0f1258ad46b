/** `npm run docs`: writes the pages of docs/reference/ anew. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { referencePages } from './pages.ts'

const folder = path.resolve(import.meta.dirname, '..', '..', 'docs', 'reference')
mkdirSync(folder, { recursive: true })
for (const [name, text] of referencePages()) writeFileSync(path.join(folder, name), text)
