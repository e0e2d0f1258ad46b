import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange, prepare, type HeaderInput } from '#pdk/testing'
import { botDetection } from './plugin.ts'

function statusOf(config: object, headers: HeaderInput): number | null {
  const exit = (botDetection.access!(fakeExchange({ headers }), prepare(botDetection, config)) ?? null) as Exit | null
  return exit?.status ?? null
}
const isLetIn = (config: object, agent: string) => statusOf(config, { 'User-Agent': agent }) === null

const CRAWLERS = [
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  'Googlebot-Image/1.0',
  'AdsBot-Google (+http://www.google.com/adsbot.html)',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  'Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)',
  'Twitterbot/1.0',
  'facebookexternalhit/1.1',
  'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
  'LinkedInBot/1.0',
  'Mozilla/5.0 (compatible; Baiduspider/2.0)',
  'Mozilla/5.0 (compatible; YandexBot/3.0)',
  'Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)',
  'Mozilla/5.0 (compatible; SemrushBot/7~bl)',
  'ia_archiver',
  'Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)',
  'Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)',
  'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.1)',
  'bot/1.0',
  'axios/1.6.2',
  'okhttp/4.9.0',
  'Go-http-client/1.1',
  'Python-urllib/3.9',
  'Apache-HttpClient/4.5.13 (Java/11)',
  'Boto3/1.26.1 Python/3.9',
  'masscan/1.0',
  'Scrapy/1.0',
  'Nutch/1.14',
]
for (const agent of CRAWLERS) {
  test(`keeps out ${agent}`, () => assert.equal(isLetIn({}, agent), false))
}

const OTHERS = [
  'curl/1.0',
  'Wget/1.2',
  'python-requests/2.1',
  'Java/1.8',
  'PHP/5.2.10',
  'libwww-perl/6',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36',
  'Mozilla/5.0 (Linux; Android 9; Cubot Note) AppleWebKit/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15',
  'bottle/0.12',
  '',
]
for (const agent of OTHERS) {
  test(`lets in '${agent}'`, () => assert.equal(isLetIn({}, agent), true))
}

test('lets in who says nothing', () => {
  assert.equal(statusOf({ deny: ['.*'] }, {}), null)
})

test('asks first whom it is told to allow, then whom to deny, by patterns with their case', () => {
  const config = { allow: ['Googlebot', 'good$'], deny: ['evil', '^curl/'] }
  assert.equal(isLetIn(config, 'Googlebot/2.1'), true)
  assert.equal(isLetIn(config, 'evil but good'), true)
  assert.equal(isLetIn(config, 'evil thing'), false)
  assert.equal(isLetIn(config, 'Evil thing'), true)
  assert.equal(isLetIn(config, 'curl/7.1'), false)
  assert.equal(isLetIn(config, 'bingbot/2.0'), false)
})

test('refuses two headers', () => {
  const headers = [
    ['User-Agent', 'a'],
    ['User-Agent', 'b'],
  ] as const
  assert.equal(statusOf({}, headers), 400)
})

test('a pattern that is none names the field', () => {
  assert.throws(() => prepare(botDetection, { deny: ['('] }), { code: 'CONFIG_INVALID', field: 'deny.0' })
})
