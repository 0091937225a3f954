// A receiver of an uplink by HTTPS, written from the folder of `ebr-gateway spec` alone: openapi-uplink-*.json, rules-uplink.md, schemas/.
//
//     node receiver.mjs SPECIFICATION        prints its port; PUT pages, GET /record/BATCH, GET /wrong

import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { errors } from './schema.mjs';
import { record, sha256 } from './record.mjs';

const folder = process.argv[2];
const schema = name => JSON.parse(readFileSync(`${folder}/schemas/${name}.json`, 'utf8'));
const SCHEMAS = { 'ebr-gateway/readings/1': schema('entry-readings'), 'ebr-gateway/event/1': schema('entry-event') };
const RECEIPT = schema('uplink-receipt');
const NOTHING = '0'.repeat(64);
const held = new Map();  // (gateway, epoch) -> {through, digest, base, entries: Map(seq -> {entry, bytes})}
const wrong = [];        // what broke its schema: none of it is stored in silence

function take(bytes, runs) {
  const entry = JSON.parse(bytes.toString('utf8'));
  const found = errors(entry, SCHEMAS[entry.schema] ?? { const: 'a known schema' });
  if (found.length) wrong.push({ seq: entry.seq, found });
  const name = JSON.stringify([entry.gateway, entry.epoch]);
  const stream = held.get(name) ?? held.set(name, { through: 0, digest: NOTHING, entries: new Map() }).get(name);
  if (!stream.entries.has(entry.seq)) stream.entries.set(entry.seq, { entry, bytes });
  for (let next; (next = following(stream, entry.epoch, runs)); ) {
    if (next.entry.previous !== stream.digest) break;
    stream.through = next.entry.seq;
    stream.digest = sha256(next.bytes);
  }
  return { gateway: entry.gateway, epoch: entry.epoch, through: stream.through, digest: stream.digest, rejected: [] };
}

/** The entry after what is whole; where it can not come any more, the base of the next run that is held is taken (Beginning in the middle). */
function following(stream, epoch, runs) {
  const next = stream.entries.get(stream.through + 1);
  if (next) return next;
  const first = Math.min(...runs.filter(run => run[0] === epoch && run[2] > stream.through).map(run => run[1]));
  const later = stream.entries.get(first);
  if (!later || first <= stream.through + 1) return undefined;
  stream.through = first - 1;
  stream.digest = later.entry.previous;
  return later;
}

function page(request, body) {
  const packed = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  const runs = (request.headers['ebr-gateway-held'] ?? '').split(', ').filter(Boolean).map(run => run.split(/[/-]/).map(Number));
  let receipt;
  for (let at = 0, end; (end = packed.indexOf(10, at)) >= 0; at = end + 1) receipt = take(packed.subarray(at, end), runs);
  const bad = errors(receipt, RECEIPT);
  if (bad.length) throw new Error(`our own receipt: ${bad}`);
  return receipt;
}

/** Every entry in order, chain verified by `take`: what lies behind `through` is not told. */
function whole() {
  return [...held.values()].flatMap(({ through, entries }) =>
    [...entries.values()].filter(({ entry }) => entry.seq <= through).sort((one, other) => one.entry.seq - other.entry.seq));
}

function answer(request, body) {
  const url = decodeURIComponent(request.url);
  if (request.method === 'PUT' && /^\/gateways\/[^/]+\/[^/]+\/epochs\/\d+\/entries\/\d+-\d+$/.test(url)) return [200, page(request, body)];
  if (request.method === 'POST' && url.endsWith('/live')) return [204, null];
  if (request.method === 'GET' && url.startsWith('/record/')) return [200, record(whole(), url.slice('/record/'.length))];
  if (request.method === 'GET' && url === '/wrong') return [200, { wrong, entries: whole().length }];
  return [404, { error: 'nothing is here' }];
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let status, told;
  try {
    [status, told] = answer(request, Buffer.concat(chunks));
  } catch (error) {
    [status, told] = [500, { error: String(error.stack) }];
    console.error(error);
  }
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(told === null ? undefined : JSON.stringify(told));
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
