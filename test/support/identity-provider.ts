/** A real identity provider (oidc-provider) on a free port of loopback, and a browser that goes where it is sent. */
import path from 'node:path'
import { freePort } from './free-port.ts'
import { startChild, type Child } from './process.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const SCRIPT = path.join('docs', 'plugins', 'examples', 'identity-provider.mjs')
const MOST_REDIRECTS = 12

export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string
  /** Gets a token for a client by its own secret. */
  clientToken(parameters?: Readonly<Record<string, string>>): Promise<string>
  stop(): Promise<void>
}

/** @param gateway the origin where the gateway will be */
export async function startIdentityProvider(gateway: string, accessTokenSeconds = 60): Promise<IdentityProvider> {
  const port = await freePort()
  const child: Child = await startChild({
    command: process.execPath,
    args: [SCRIPT, String(port), gateway, String(accessTokenSeconds)],
    cwd: ROOT,
    name: 'identity provider',
  })
  await child.waitForOutput(/listens on/)
  const issuer = `http://127.0.0.1:${port}`
  const stop = async () => void (await child.stop())
  return {
    issuer,
    async clientToken(parameters = {}) {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { Authorization: `Basic ${Buffer.from('batch:batch-secret-that-is-long-enough').toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', ...parameters }),
      })
      const { access_token: token } = (await response.json()) as { access_token?: string }
      if (token === undefined) throw new Error(`the identity provider answered ${response.status}`)
      return token
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

export interface Page {
  readonly url: URL
  readonly status: number
  readonly text: string
}

/** Keeps cookies for each port, which stands for a site here, and follows redirects. */
export class Browser {
  readonly cookies = new Map<string, Map<string, string>>()

  async open(url: string, init: { readonly method?: string; readonly body?: URLSearchParams } = {}): Promise<Page> {
    let at = new URL(url)
    let { method = 'GET', body } = init
    for (let redirects = 0; redirects < MOST_REDIRECTS; redirects++) {
      const jar = this.#jar(at)
      const response = await fetch(at, {
        method,
        body: body ?? null,
        redirect: 'manual',
        headers: { Cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), Accept: 'text/html' },
        signal: AbortSignal.timeout(10_000),
      })
      for (const text of response.headers.getSetCookie()) this.#keep(jar, text)
      const location = response.headers.get('location')
      if (location === null) return { url: at, status: response.status, text: await response.text() }
      await response.arrayBuffer()
      at = new URL(location, at)
      method = 'GET'
      body = undefined
    }
    throw new Error(`more than ${MOST_REDIRECTS} redirects, the last to ${at.href}`)
  }

  #jar(url: URL): Map<string, string> {
    const known = this.cookies.get(url.host)
    if (known !== undefined) return known
    const jar = new Map<string, string>()
    this.cookies.set(url.host, jar)
    return jar
  }

  #keep(jar: Map<string, string>, text: string): void {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(text) ?? []
    if (/max-age=0|expires=Thu, 01 Jan 1970/i.test(text)) jar.delete(name)
    else jar.set(name, value)
  }
}
