/** User agents that are known for programs which fetch pages without a person: crawlers, monitors, and what they are built with. */

/** Names that don't say what they are. Each is the beginning of a product token (RFC 9110 10.1.5), in the case in which it is sent. */
const NAMES = [
  // Search engines and archives
  'AppEngine-Google',
  'Ask Jeeves',
  'BingPreview',
  'Mediapartners-Google',
  'Nutch',
  'Slurp',
  'Teoma',
  'YahooSeeker',
  'Yeti',
  'heritrix',
  'htdig',
  'larbin',
  // Previews of links
  'Embedly',
  'SkypeUriPreview',
  'Slack-ImgProxy',
  'facebookexternalhit',
  // Scanners
  'masscan',
  'WhatWeb',
  'zgrab',
  // Libraries and tools
  'Apache-HttpClient',
  'Boto3',
  'Go-http-client',
  'Google-HTTP-Java-Client',
  'HTTrack',
  'Python-urllib',
  'Scrapy',
  'axios',
  'okhttp',
]

/** The names above, where a word begins. */
const NAMED = new RegExp(`(?<![A-Za-z])(?:${NAMES.map((name) => RegExp.escape(name)).join('|')})`)

/**
 * Words that end in what they are: Googlebot, UptimeRobot, Baiduspider, ia_archiver. Cubot is a maker of telephones. No part of the
 * pattern repeats, so it takes time in proportion to the text.
 */
const SAYS_SO =
  /(?<![Cc][Uu])[Bb]ot(?![a-z])|[Ss]pider(?![a-z])|[Cc]rawl(?:er|ing)?(?![a-z])|[Ss]crape[rd]?(?![a-z])|archiver(?![a-z])/

export function isCrawler(userAgent: string): boolean {
  return SAYS_SO.test(userAgent) || NAMED.test(userAgent)
}
