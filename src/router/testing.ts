/** Routes and requests for tests, with everything that does not matter filled in. */
import { HeaderList } from '#http/header-list.ts'
import type { Route } from '#model/entities/route.ts'
import type { RoutableRequest } from './contract.ts'

export type RouteInput = Partial<Route>

export function routeOf(input: RouteInput): Route {
  return {
    id: '00000000-0000-4000-8000-000000000001',
    created_at: 1,
    updated_at: 1,
    name: null,
    protocols: ['http', 'https'],
    https_redirect_status_code: 426,
    strip_path: true,
    preserve_host: false,
    request_buffering: true,
    response_buffering: true,
    tags: null,
    service: null,
    snis: null,
    sources: null,
    destinations: null,
    methods: null,
    hosts: null,
    paths: null,
    headers: null,
    query: null,
    regex_priority: 0,
    path_handling: 'v0',
    ...input,
  }
}

export function requestOf(input: Partial<RoutableRequest>): RoutableRequest {
  return {
    method: 'GET',
    scheme: 'http',
    host: 'gw.test',
    port: 8000,
    hasHostPort: false,
    path: '/',
    query: null,
    headers: new HeaderList(),
    sni: null,
    clientIp: '127.0.0.1',
    clientPort: 50_000,
    serverIp: '127.0.0.1',
    serverPort: 8000,
    ...input,
  }
}
