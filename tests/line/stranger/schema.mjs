// A JSON Schema validator of one page, for the published schemas. A keyword that it does not know is an error, never passed over.

const WORDS = new Set(['$schema', '$id', 'title', 'description', 'examples', 'default', 'format', '$defs', 'discriminator']);

/** Return what is wrong with a value, as texts; none if it is as the schema says. root: the whole schema, for its references. */
export function errors(value, schema, root = schema, path = '') {
  if (schema === true) return [];
  if (schema.$ref) return errors(value, resolved(root, schema.$ref), root, path);
  return Object.entries(schema).flatMap(([keyword, wanted]) => {
    if (WORDS.has(keyword)) return [];
    const check = CHECKS[keyword];
    if (!check) throw new Error(`keyword ${keyword} is not known`);
    return check(value, wanted, root, path, schema);
  });
}

function resolved(root, reference) {
  return reference.split('/').slice(1).reduce((at, name) => at[name], root);
}

const isObject = value => value !== null && typeof value === 'object' && !Array.isArray(value);
const TYPES = {
  object: isObject,
  array: Array.isArray,
  string: value => typeof value === 'string',
  integer: Number.isInteger,
  number: value => typeof value === 'number',
  boolean: value => typeof value === 'boolean',
  null: value => value === null,
};
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const unless = (good, path, text) => (good ? [] : [`${path || '/'}: ${text}`]);

const CHECKS = {
  type: (v, wanted, _, path) => unless([wanted].flat().some(type => TYPES[type](v)), path, `is no ${wanted}`),
  const: (v, wanted, _, path) => unless(same(v, wanted), path, `is not ${JSON.stringify(wanted)}`),
  enum: (v, wanted, _, path) => unless(wanted.some(one => same(one, v)), path, `is none of ${JSON.stringify(wanted)}`),
  pattern: (v, wanted, _, path) => unless(typeof v !== 'string' || new RegExp(wanted, 'u').test(v), path, `does not match ${wanted}`),
  minLength: (v, wanted, _, path) => unless(typeof v !== 'string' || [...v].length >= wanted, path, 'is too short'),
  maxLength: (v, wanted, _, path) => unless(typeof v !== 'string' || [...v].length <= wanted, path, 'is too long'),
  minimum: (v, wanted, _, path) => unless(typeof v !== 'number' || v >= wanted, path, `is below ${wanted}`),
  maximum: (v, wanted, _, path) => unless(typeof v !== 'number' || v <= wanted, path, `is above ${wanted}`),
  minItems: (v, wanted, _, path) => unless(!Array.isArray(v) || v.length >= wanted, path, 'has too few items'),
  maxItems: (v, wanted, _, path) => unless(!Array.isArray(v) || v.length <= wanted, path, 'has too many items'),
  required: (v, wanted, _, path) => wanted.flatMap(name => unless(!isObject(v) || name in v, path, `lacks ${name}`)),
  properties: (v, wanted, root, path) =>
    isObject(v) ? Object.entries(wanted).flatMap(([name, one]) => (name in v ? errors(v[name], one, root, `${path}/${name}`) : [])) : [],
  additionalProperties: (v, wanted, root, path, schema) => {
    const more = isObject(v) ? Object.keys(v).filter(name => !(name in (schema.properties ?? {}))) : [];
    return wanted === false ? more.map(name => `${path}: ${name} is not allowed`) : more.flatMap(name => errors(v[name], wanted, root, `${path}/${name}`));
  },
  prefixItems: (v, wanted, root, path) =>
    Array.isArray(v) ? wanted.slice(0, v.length).flatMap((one, n) => errors(v[n], one, root, `${path}/${n}`)) : [],
  items: (v, wanted, root, path, schema) =>
    Array.isArray(v) ? v.slice(schema.prefixItems?.length ?? 0).flatMap((one, n) => errors(one, wanted, root, `${path}/${n}`)) : [],
  anyOf: (v, wanted, root, path) => {
    const tried = wanted.map(one => errors(v, one, root, path));
    return tried.some(found => !found.length) ? [] : tried[0];
  },
  oneOf: (v, wanted, root, path, schema) => {
    const by = schema.discriminator;  // tells which one is meant, so that what is wrong in it is told
    if (by && isObject(v) && by.mapping[v[by.propertyName]]) return errors(v, resolved(root, by.mapping[v[by.propertyName]]), root, path);
    return unless(wanted.filter(one => !errors(v, one, root, path).length).length === 1, path, 'is not exactly one of several');
  },
};
