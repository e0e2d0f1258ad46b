/**
 * Providers' own clients before the servers that stand in for them in the tests of ai-proxy: what those answer is what the providers'
 * answers are. They are large, so only `npm run test:parts` fetches them.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { isFullEffort } from '../support/effort.ts'
import { startModelServices, type ModelServices } from '../support/model-services.ts'
import { requirePart, type PartName } from '../support/parts.ts'

// What each client looks like is its own affair, and it is not there when the sources are checked.
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any

const KEY = 'sk-the-key'
const SAID = 'SOME QUIET WORDS'
const messages = [{ role: 'user', content: 'some quiet words' }]
const skip = isFullEffort() ? false : 'fetches them: npm run test:parts'

let services: ModelServices
let base = ''
before(async () => {
  services = await startModelServices(KEY)
  base = `http://127.0.0.1:${services.port}`
})
after(() => services.close())

/** The package, by what its own description says is to be loaded; null where it can't be had. */
async function clientOf(t: TestContext, part: PartName, entry: string): Promise<Any> {
  const folder = (await requirePart(t, part)) as string | null
  return folder === null ? null : await import(pathToFileURL(path.join(folder, entry)).href)
}

test("Anthropic's", { skip }, async (t) => {
  const sdk = await clientOf(t, 'anthropic-client', 'index.mjs')
  if (sdk === null) return
  const client = new sdk.default({ apiKey: KEY, baseURL: base, maxRetries: 0 })
  const asked = { model: 'm', max_tokens: 9, system: 'Be brief.', messages }
  const whole = await client.messages.create(asked)
  assert.equal(whole.content[0].text, SAID)
  const final = await client.messages.stream(asked).finalMessage()
  assert.deepEqual([final.content[0].text, final.usage.output_tokens], [SAID, 3])
})

test("Cohere's", { skip }, async (t) => {
  const sdk = await clientOf(t, 'cohere-client', 'dist/index.js')
  if (sdk === null) return
  const client = new sdk.CohereClient({ token: KEY, environment: base, baseUrl: base })
  const asked = { model: 'm', preamble: 'Be brief.', message: messages[0]!.content }
  const whole = await client.chat(asked)
  assert.equal(whole.text, SAID)
  let text = ''
  let tokens = 0
  for await (const event of await client.chatStream(asked)) {
    if (event.eventType === 'text-generation') text += event.text
    if (event.eventType === 'stream-end') tokens = event.response.meta.billedUnits.outputTokens
  }
  assert.deepEqual([text, tokens], [SAID, 3])
})

test("Gemini's", { skip }, async (t) => {
  const sdk = await clientOf(t, 'gemini-client', 'dist/node/index.mjs')
  if (sdk === null) return
  const client = new sdk.GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: base } })
  const config = { systemInstruction: 'Be brief.' }
  const asked = { model: 'm', contents: messages[0]!.content, config }
  const whole = await client.models.generateContent(asked)
  assert.equal(whole.text, SAID)
  let text = ''
  let tokens = 0
  for await (const chunk of await client.models.generateContentStream(asked)) {
    text += chunk.text
    tokens = chunk.usageMetadata?.candidatesTokenCount ?? tokens
  }
  assert.deepEqual([text, tokens], [SAID, 3])
})

test("Ollama's", { skip }, async (t) => {
  const sdk = await clientOf(t, 'ollama-client', 'dist/index.mjs')
  if (sdk === null) return
  const client = new sdk.Ollama({ host: base, headers: { Authorization: `Bearer ${KEY}` } })
  const whole = await client.chat({ model: 'm', messages, stream: false })
  assert.equal(whole.message.content, SAID)
  let text = ''
  let tokens = 0
  for await (const part of await client.chat({ model: 'm', messages, stream: true })) {
    text += part.message.content
    tokens = part.eval_count ?? tokens
  }
  assert.deepEqual([text, tokens], [SAID, 3])
})
