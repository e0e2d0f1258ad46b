import assert from 'node:assert/strict'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { decodeJson, encodeJson } from './json-message.ts'
import { loadProtoFile } from './proto-file.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-proto-'))
after(() => rmSync(folder, { recursive: true, force: true }))

mkdirSync(path.join(folder, 'inner'))
writeFileSync(
  path.join(folder, 'main.proto'),
  `syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "inner/kinds.proto";
service Shop { rpc Put(Order) returns (Order); rpc Other(Line) returns (Line); }
message Line { string name = 1; int32 count = 2; }
message Order {
  string user_name = 1;
  int32 small = 2;
  uint64 large = 3;
  sint64 minus = 4;
  double price = 5;
  bool paid = 6;
  bytes raw = 7;
  Kind kind = 8;
  Line line = 9;
  repeated Line lines = 10;
  repeated string tags = 11;
  map<string, Line> by_name = 12;
  map<int64, bool> by_number = 13;
  google.protobuf.Timestamp at = 14;
  oneof choice { string one = 15; int32 two = 16; }
  optional string note = 17;
  Order inner = 18;
}`,
)
writeFileSync(
  path.join(folder, 'inner', 'kinds.proto'),
  `syntax = "proto3"; package shop.v1; import "more.proto"; enum Kind { NONE = 0; GIFT = 1; }`,
)
writeFileSync(path.join(folder, 'inner', 'more.proto'), `syntax = "proto3"; package shop.v1; message Unused {}`)

const methods = await loadProtoFile(path.join(folder, 'main.proto'))
const { input: Order } = methods.find(({ path: at }) => at === '/shop.v1.Shop/Put')!

const through = (json: unknown): any => JSON.parse(decodeJson(Order, encodeJson(Order, json)))

test('methods are found by the path that they are asked with', () => {
  assert.deepEqual(
    methods.map(({ path: at }) => at),
    ['/shop.v1.Shop/Put', '/shop.v1.Shop/Other'],
  )
})

test('JSON goes into a message and comes out again', () => {
  const json = {
    user_name: 'änn',
    small: -5,
    large: '18446744073709551615',
    minus: -9_007_199_254_740_991,
    price: 1.5,
    paid: true,
    raw: Buffer.from([0, 255]).toString('base64'),
    kind: 'GIFT',
    line: { name: 'a', count: 1 },
    lines: [{ name: 'b', count: 2 }],
    tags: ['x', 'y'],
    by_name: { k: { name: 'c', count: 3 } },
    by_number: { '-5': true, '9007199254740993': false },
    at: '2030-01-01T00:00:00.123Z',
    two: 0,
    note: '',
  }
  assert.deepEqual(through(json), json)
})

test('what is absent is its default, or absent where that can be told', () => {
  assert.deepEqual(through({}), {
    user_name: '',
    small: 0,
    large: 0,
    minus: 0,
    price: 0,
    paid: false,
    raw: '',
    kind: 'NONE',
    lines: [],
    tags: [],
    by_name: {},
    by_number: {},
  })
})

test("names of JSON's own, texts of a query, and names that are none", () => {
  const got = through({
    userName: 'ann',
    small: '7',
    paid: 'true',
    price: '2.5',
    kind: '1',
    tags: 'one',
    minus: '-1',
    nothing: { such: 1 },
    line: null,
    at: { seconds: 1, nanos: 5 },
  })
  assert.deepEqual([got.user_name, got.small, got.paid, got.price, got.kind], ['ann', 7, true, 2.5, 'GIFT'])
  assert.deepEqual([got.tags, got.minus, got.line, got.at], [['one'], -1, undefined, '1970-01-01T00:00:01.000000005Z'])
})

test('what does not fit is told with its field', () => {
  const wrong: readonly (readonly [json: unknown, message: RegExp])[] = [
    [[], /^body: expected an object, got a list/],
    ['x', /^body: expected an object, got "x"/],
    [{ small: 'x' }, /^small: expected a whole number from -2147483648 to 2147483647, got "x"/],
    [{ small: 2 ** 31 }, /^small/],
    [{ small: 1.5 }, /^small/],
    [{ large: -1 }, /^large/],
    [{ large: '18446744073709551616' }, /^large/],
    [{ minus: 2 ** 53 }, /^minus/],
    [{ price: 'much' }, /^price/],
    [{ paid: 1 }, /^paid/],
    [{ raw: '*' }, /^raw/],
    [{ kind: 'MANY' }, /^kind: expected one of NONE, GIFT, got "MANY"/],
    [{ user_name: 5 }, /^user_name: expected a text, got 5/],
    [{ line: 'x' }, /^line: expected an object/],
    [{ lines: [{ count: 'x' }] }, /^lines\[0\]\.count/],
    [{ by_name: [] }, /^by_name/],
    [{ by_name: { k: { count: {} } } }, /^by_name\.k\.count/],
    [{ by_number: { x: true } }, /^by_number\.x/],
    [{ at: 'yesterday' }, /^at: expected a time/],
  ]
  for (const [json, message] of wrong) assert.throws(() => encodeJson(Order, json), { message }, JSON.stringify(json))
  let deep: object = {}
  for (let i = 0; i < 100; i++) deep = { inner: deep }
  assert.throws(() => encodeJson(Order, deep), /at most 64 levels/)
})

test('whatever JSON comes, it becomes a message or is refused', () => {
  const name = fc.constantFrom(
    'small',
    'large',
    'raw',
    'kind',
    'line',
    'lines',
    'by_name',
    'by_number',
    'at',
    '__proto__',
  )
  fc.assert(
    fc.property(fc.dictionary(name, fc.jsonValue({ maxDepth: 3 })), (json) => {
      try {
        decodeJson(Order, encodeJson(Order, json))
      } catch (error) {
        assert.equal((error as Error).constructor.name, 'JsonMismatch', String(error))
      }
    }),
    { numRuns: 1000 },
  )
})

test('bytes that are no message are an error and not an answer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        JSON.parse(decodeJson(Order, Buffer.from(bytes)))
      } catch (error) {
        assert.ok(error instanceof Error && error.name !== 'TypeError', String(error))
      }
    }),
    { numRuns: 1000 },
  )
})

test('a file that is none, or imports one that is not there, is refused with the reason', async () => {
  const write = (name: string, text: string) => {
    writeFileSync(path.join(folder, name), text)
    return path.join(folder, name)
  }
  await assert.rejects(loadProtoFile(path.join(folder, 'absent.proto')), /absent\.proto can't be read/)
  await assert.rejects(loadProtoFile(write('bad.proto', 'syntax = "proto3"; message {')), /illegal/)
  await assert.rejects(
    loadProtoFile(write('a.proto', 'syntax = "proto3"; import "b.proto";')),
    /b\.proto can't be read/,
  )
  await assert.rejects(
    loadProtoFile(write('c.proto', 'syntax = "proto3"; service S { rpc M(No) returns (No); }')),
    /no such/,
  )
  const circle = write('d.proto', 'syntax = "proto3"; import "e.proto"; message D {}')
  write('e.proto', 'syntax = "proto3"; import "d.proto"; message E {}')
  assert.deepEqual(await loadProtoFile(circle), [])
})
