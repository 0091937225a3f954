// One batch, from the entries alone: rules-uplink.md (an event's bytes, parts, event time), rules-context.md (Parameters), event-step, event-batch.

import { createHash } from 'node:crypto';

export const sha256 = bytes => createHash('sha256').update(bytes).digest('hex');

/** entries: [{entry, bytes}] of one stream in order, its chain verified. */
export function record(entries, batch) {
  const told = joined(entries.filter(({ entry }) => entry.event));
  const steps = new Map();
  for (const { event, content } of told) {
    if (event.type !== 'step' || event.batch !== batch || event.transition !== 'end') continue;
    const known = steps.get(event.record);
    if (!known || event.revision >= known.event.revision) steps.set(event.record, { event, content });
  }
  const end = told.filter(({ event }) => event.type === 'batch' && event.batch === batch && event.transition === 'end').at(-1)?.event;
  return {
    batch,
    status: end?.status ?? 'open',
    completeness: end?.completeness ?? null,
    steps: [...steps.values()].map(({ event }) => step(event, entries)),
    proof: end ? proof(end, steps) : null,
  };
}

/** Events with the bytes that a digest is over; those that came in parts are whole again. */
function joined(entries) {
  const waiting = new Map(), found = [];
  for (const { entry, bytes } of entries) {
    const event = entry.event;
    const content = bytes.subarray(bytes.indexOf('"event":') + 8, -1);
    if ((event.of ?? 1) === 1 || !event.sliced?.length) {
      found.push({ event, content });
      continue;
    }
    const name = JSON.stringify([event.record, event.transition, event.revision]);
    const parts = waiting.get(name) ?? waiting.set(name, []).get(name);
    parts[event.part - 1] = { event, content };
    if (parts.filter(Boolean).length === event.of) {
      const lists = Object.fromEntries(event.sliced.map(list => [list, parts.flatMap(part => part.event[list])]));
      found.push({ event: { ...parts[0].event, ...lists }, content: Buffer.concat(parts.map(part => part.content)) });
    }
  }
  return found;
}

/** Are just the records held that the batch's end lists, by digest and by the RFC 6962 root over them? */
function proof(end, steps) {
  const held = new Map([...steps].map(([name, { content }]) => [name, sha256(content)]));
  const listed = end.records.map(one => [one.record, one.content_sha256]);
  const leaves = listed.map(([, digest]) => hash(0, Buffer.from(digest, 'hex')));
  return {
    records: listed.length,
    same: listed.length === held.size && listed.every(([name, digest]) => held.get(name) === digest),
    root: leaves.length ? root(leaves).toString('hex') === end.merkle_root : null,
  };
}

const hash = (prefix, ...parts) => createHash('sha256').update(Buffer.from([prefix])).update(Buffer.concat(parts)).digest();

function root(leaves) {
  if (leaves.length === 1) return leaves[0];
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return hash(1, root(leaves.slice(0, half)), root(leaves.slice(half)));
}

function step(event, entries) {
  return {
    step: event.step,
    cause: event.cause,
    parameters: event.parameters.map(one => ({ ...one, again: again(one, event, entries) })),
  };
}

// ---- the statistic once more, from readings

/** The statistic computed from the readings; null where these rules do not reach: another statistic, a part of the step that does not count. */
function again(parameter, event, entries) {
  if (parameter.include === 'running' || parameter.skip_first_s) return null;
  const start = ticks(event.start.time), end = ticks(event.end.time);
  if (parameter.statistic === 'duration') return Number(end - start) / 1e7;
  const stretches = known(parameter.tag, entries, start, end);
  if (!stretches.length) return null;
  const values = stretches.map(one => one.value);
  switch (parameter.statistic) {
    case 'max': return Math.max(...values);
    case 'min': return Math.min(...values);
    case 'last': return values.at(-1);
    case 'mean': {
      const weights = stretches.map(one => Number(one.to - one.from));
      const time = weights.reduce((sum, one) => sum + one, 0);
      return time ? stretches.reduce((sum, one, n) => sum + one.value * weights[n], 0) / time : null;
    }
    default: return null;
  }
}

/** Stretches of [start, end) with what the tag held: a value stands to the next reading, a Bad one or a gap; after a gap from its end on. */
function known(tag, entries, start, end) {
  const { points, source } = series(tag, entries), gaps = gapsOf(tag, source, entries);
  const found = [];
  points.forEach((point, n) => {
    if (point.value === null) return;
    const from = gaps.reduce((at, gap) => (at >= gap.from && at < gap.to ? gap.to : at), point.at);
    const next = points[n + 1]?.at ?? end;
    const to = gaps.reduce((at, gap) => (gap.from >= from && gap.from < at ? gap.from : at), next < end ? next : end);
    if (to > start && from < end && (to > from || point.at >= start)) found.push({ from: from < start ? start : from, to: to < from ? from : to, value: point.value });
  });
  return found;
}

/** Readings of a tag in the order of event time, a Bad one without a value; and the source that they come from. */
function series(tag, entries) {
  const tables = new Map(), points = [];
  let source = null;
  for (const { entry } of entries) {
    if (entry.event?.type === 'tagset') {
      const table = tables.get(entry.event.tagset) ?? tables.set(entry.event.tagset, []).get(entry.event.tagset);
      entry.event.tags.forEach((one, n) => { table[entry.event.first + n] = one; });
    }
    if (entry.schema !== 'ebr-gateway/readings/1') continue;
    const table = tables.get(entry.tagset);
    for (const row of entry.readings) {
      const cell = name => (entry.columns.includes(name) ? row[entry.columns.indexOf(name)] : entry.constant?.[name] ?? null);
      if (table[cell('tag')].tag !== tag) continue;
      source = entry.source;
      const good = cell('value') !== null && cell('status') >>> 30 !== 2;
      points.push({ at: eventTime(cell, table[cell('tag')], entry), value: good ? Number(cell('value')) : null });
    }
  }
  return { points: points.sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0)), source };
}

/** event-gap: the gaps of a tag that have ended, as [from, to). */
function gapsOf(tag, source, entries) {
  return entries
    .map(({ entry }) => entry.event)
    .filter(event => event?.type === 'gap' && event.transition === 'close' && event.outcome !== 'filled' && event.source === source)
    .filter(event => event.tags === 'all' || event.tags.includes(tag))
    .map(event => ({ from: ticks(event.start), to: ticks(event.end) }));
}

/** rules-uplink.md, Event time. */
function eventTime(cell, tag, entry) {
  const base = ticks(entry.time_base);
  const time = name => {
    if (cell(`${name}_ticks`) !== null) return base + BigInt(cell(`${name}_ticks`));
    return cell(`${name}_time`) === null ? null : ticks(cell(`${name}_time`));
  };
  const authority = tag.time_authority ?? entry.source_clock?.authority ?? 'gateway';
  const received = time('received'), requested = time('requested');
  const counts = one => one !== null && one >= ticks('1990-01-01T00:00:00Z') && one <= received + 600_000_000n;
  if (authority === 'device' && counts(time('source'))) return time('source');
  if (authority !== 'gateway' && counts(time('server'))) return time('server');
  return requested === null ? received : (requested + received) / 2n;
}

/** 100-ns units since 1970, exact: a Date has milliseconds. */
export function ticks(text) {
  const [, second, fraction = '', zone] = /^([^.Z+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  return BigInt(Date.parse(second + zone)) * 10_000n + BigInt(fraction.padEnd(7, '0').slice(0, 7));
}
