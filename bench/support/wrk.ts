/** Load by wrk, with a script that checks every answer and stops after a number of requests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from '../../test/support/debian-part.ts'
import { startChild } from '../../test/support/process.ts'
import { OTHER_CORE } from './machine.ts'

export interface LoadRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Asked for in turn. A host replaces the URL's in the header. */
  readonly targets: readonly { readonly path: string; readonly host?: string }[]
}

export interface LoadOptions {
  readonly url: string
  readonly request: LoadRequest
  readonly expectedBody: string
  readonly requests: number
  readonly connections: number
  /** Whether a sample of the answers must have `Via` and `X-Kong-Request-Id`. */
  readonly isGateway: boolean
  /** Whether that sample, but for the first answers, must be `Hit`s of proxy-cache. */
  readonly isStored?: boolean
  /** What a connection waits on average between an answer and the next request; by default nothing. */
  readonly pauseMs?: number
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** A round takes seconds; one that takes this long is stuck. */
const TIMEOUT_SECONDS = 120
/** Every how many answers the headers are looked at. */
const SAMPLE = 1_000

/**
 * Sends `requests` requests over keep-alive connections from the other core; `onFinished` is called at the moment when
 * the last was answered. Rejects when any answer has another status or body than expected, or any connection failed.
 */
export async function runWrk(program: Program, options: LoadOptions, onFinished: () => void): Promise<LoadResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-wrk-'))
  try {
    const script = path.join(folder, 'load.lua')
    writeFileSync(script, scriptText(options))
    const [command, ...args] = [...OTHER_CORE, program.command, '-t1', `-c${options.connections}`]
    const started = performance.now()
    const child = await startChild({
      command,
      args: [...args, `-d${TIMEOUT_SECONDS}s`, '--timeout', '10s', '-s', script, options.url],
      env: { ...process.env, ...program.env },
      name: 'wrk',
    })
    await child.waitForOutput(/^FINISHED$/m, TIMEOUT_SECONDS * 1_000)
    const seconds = (performance.now() - started) / 1_000
    onFinished()
    // wrk's thread has stopped; the signal ends the sleep of its main thread, which then prints the summary.
    child.signal('SIGINT')
    const [, json = ''] = await child.waitForOutput(/^RESULT (.*)$/m)
    await child.exited
    const result = JSON.parse(json) as { wrong: number; failed: number; p50: number; p99: number; first: string }
    if (result.wrong > 0) throw new Error(`${result.wrong} wrong answers, the first: ${result.first}`)
    if (result.failed > 0) throw child.failure(`${result.failed} connections or requests failed`)
    return { requests: options.requests, seconds, p50Ms: result.p50 / 1_000, p99Ms: result.p99 / 1_000 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const lua = (text: string) => `"${text.replaceAll(/[\\"]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`

function scriptText(options: LoadOptions): string {
  const { request, expectedBody, requests, isGateway, isStored = false, pauseMs = 0 } = options
  const headers = Object.entries(request.headers).map(([name, value]) => `[${lua(name)}] = ${lua(value)}`)
  const targets = request.targets.map(({ path, host }) => `{ ${lua(path)}, ${host === undefined ? 'nil' : lua(host)} }`)
  return `
wrk.method = ${lua(request.method)}
local headers = { ${headers.join(', ')} }
${request.body === undefined ? '' : `wrk.body = ${lua(request.body)}`}
local targets = { ${targets.join(',\n')} }
local expected = ${lua(expectedBody)}
local threads, prepared, next_request, answers = {}, {}, 0, 0
wrong, first = 0, ""

function setup(thread) threads[#threads + 1] = thread end

function init()
  for name, value in pairs(headers) do wrk.headers[name] = value end
  local own_host = wrk.headers["Host"]
  for i, target in ipairs(targets) do
    wrk.headers["Host"] = target[2] or own_host
    prepared[i] = wrk.format(nil, target[1])
  end
end

function request()
  next_request = next_request % #prepared + 1
  return prepared[next_request]
end

${pauseMs > 0 ? `function delay() return math.random(0, ${Math.round(2 * pauseMs)}) end` : ''}

local function find(headers, wanted)
  for name, value in pairs(headers) do if name:lower() == wanted then return value end end
  return ""
end

function response(status, headers, body)
  answers = answers + 1
  local fault = nil
  if status ~= 200 then fault = "status " .. status
  elseif body ~= expected then fault = "a body of " .. #body .. " bytes: " .. body:sub(1, 200)
  elseif ${isGateway} and answers % ${SAMPLE} == 1 then
    if not find(headers, "via"):find("^1%.1 ") then fault = "no Via"
    elseif not find(headers, "x-kong-request-id"):find("^%x+$") then fault = "no X-Kong-Request-Id"
    elseif ${isStored} and answers > ${SAMPLE} and find(headers, "x-cache-status") ~= "Hit" then fault = "no hit" end
  end
  if fault then
    wrong = wrong + 1
    if first == "" then first = fault end
  end
  if answers == ${requests} then
    io.write("\\nFINISHED\\n")
    io.flush()
    wrk.thread:stop()
  end
end

function done(summary, latency)
  local wrong, first = 0, ""
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrong")
    if first == "" then first = thread:get("first") end
  end
  local errors = summary.errors
  io.write(string.format('\\nRESULT {"wrong":%d,"failed":%d,"p50":%d,"p99":%d,"first":"%s"}\\n', wrong,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), first:gsub('[%c"\\\\\\\\]', "?")))
end
`
}
