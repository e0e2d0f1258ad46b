/**
 * The object `kong` that functions get, in the words of Kong's plugin kit. It is text, because it is made twice: in the gateway for
 * trusted functions, inside the sandbox for the others. Everything goes through `host(operation, arguments as JSON)`, which answers
 * JSON, or '' for nothing.
 */
export const KONG_API = `(host) => {
  const call = (operation, ...args) => {
    const answer = host(operation, JSON.stringify(args))
    return answer === '' ? null : JSON.parse(answer)
  }
  const group = (prefix, names) =>
    Object.fromEntries(names.map((name) => [name, (...args) => call(prefix + name, ...args)]))
  const text = (values) => values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join('')
  const log = (...values) => void call('log', 'info', text(values))
  for (const level of ['debug', 'info', 'notice', 'warn', 'err', 'crit', 'alert', 'emerg'])
    log[level] = (...values) => void call('log', level, text(values))
  const shared = new Proxy(Object.create(null), {
    get: (_, name) => (typeof name === 'string' ? call('shared_get', name) : undefined),
    set: (_, name, value) => (call('shared_set', name, value), true),
    has: (_, name) => typeof name === 'string' && call('shared_get', name) !== null,
    deleteProperty: (_, name) => (call('shared_set', name, null), true),
  })
  return {
    request: group('request_', [
      'get_method', 'get_scheme', 'get_host', 'get_port', 'get_path', 'get_raw_path', 'get_path_with_query',
      'get_raw_query', 'get_query', 'get_query_arg', 'get_header', 'get_headers', 'get_http_version', 'get_raw_body',
      'get_start_time',
    ]),
    client: group('client_', ['get_ip', 'get_forwarded_ip', 'get_port', 'get_consumer', 'get_credential']),
    router: group('router_', ['get_route', 'get_service']),
    service: {
      request: group('service_', [
        'set_header', 'add_header', 'clear_header', 'set_headers', 'set_method', 'set_path', 'set_raw_query', 'set_raw_body',
      ]),
    },
    response: group('response_', [
      'get_status', 'get_header', 'get_headers', 'get_source', 'set_status', 'set_header', 'add_header', 'clear_header',
      'set_headers', 'get_raw_body', 'set_raw_body', 'exit', 'error',
    ]),
    ctx: { shared },
    log,
  }
}`
