/**
 * Which folder of `src` may know which: the one table. The linter enforces it (eslint.config.js), and
 * test/architecture.test.ts runs the same rules over every file, then over fabricated violations.
 *
 * Dependencies point inwards: adapters (`stores`, `executors`, `triggers`) know the ports and the model and never the
 * scheduler; the decisions in `core` know no effects; the ports compile to nothing. Beside `src/index.ts`, which only
 * re-exports, a file may put the parts together (the scheduler with its default store, executor and clock).
 */

/**
 * @typedef {object} Folder
 * @property {readonly string[]} imports folders whose values and types it may import
 * @property {readonly string[]} [types] folders of which it may import types only
 * @property {boolean} [composition] whether it may import the files beside src/index.ts
 * @property {readonly string[]} [packages] packages it may import
 * @property {boolean} [node] whether it may import `node:*` modules
 * @property {readonly string[]} [shared] its sub-folders that the siblings beside them may import. Where this is given,
 *   each other sub-folder is an adapter on its own, and may not import another
 * @property {Readonly<Record<string, readonly string[]>>} [drivers] by sub-folder: the optional packages it may load with
 *   `import()`, at the moment they are needed; a static import would make everybody install them
 * @property {readonly (keyof typeof bans)[]} bans what it must not contain
 */

/** @typedef {{ global: string, message: string } | { selector: string, message: string }} Ban a global or a syntax, and what to do instead */

const clock = 'Ask the Clock port: only src/clocks reads the time of this machine and sets its timers.';
const undecided = 'This folder decides and never waits: return the decision and let the scheduler act on it.';
const chance = 'Nothing here depends on chance: take the number as an argument or derive it from the ids.';
const milliseconds = 'Inside, an instant is a number of epoch milliseconds; `Date` is for the public face.';
const effect = 'No effects here: take what you need as an argument.';

/** @type {(names: string, message: string) => Ban[]} */
const globals = (names, message) => names.split(' ').map((global) => ({ global, message }));

/** @satisfies {Record<string, readonly Ban[]>} */
export const bans = {
  // Time and chance come from outside, so that a test can decide them.
  ambientTime: [
    ...globals('setTimeout setInterval clearTimeout clearInterval performance', clock),
    { selector: "MemberExpression[object.name=/^(Date|DateTime)$/][property.name='now']", message: clock },
    { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: clock },
    { selector: "CallExpression[callee.name='Date']", message: clock },
    {
      selector:
        "CallExpression[callee.object.name='DateTime'][callee.property.name=/^(local|utc)$/][arguments.length=0]",
      message: clock,
    },
    { selector: "MemberExpression[object.name='process'][property.name=/^(hrtime|uptime)$/]", message: clock },
    { selector: "MemberExpression[object.name='AbortSignal'][property.name='timeout']", message: clock },
    { selector: 'ImportDeclaration[source.value=/^(node:)?(timers|perf_hooks)/]', message: clock },
  ],
  chance: [
    { global: 'crypto', message: chance },
    { selector: "MemberExpression[object.name='Math'][property.name='random']", message: chance },
  ],
  effects: globals('process console fetch require', effect),
  asynchrony: [
    ...globals('Promise queueMicrotask setImmediate', undecided),
    { selector: "TSTypeReference > Identifier[name='Promise']", message: undecided },
    { selector: ':function[async=true]', message: undecided },
    { selector: 'AwaitExpression', message: undecided },
    { selector: 'ForOfStatement[await=true]', message: undecided },
  ],
  dates: [
    ...globals('Date', milliseconds),
    { selector: "TSTypeReference > Identifier[name='Date']", message: milliseconds },
  ],
  testRunners: [
    {
      selector: 'Literal[value=/^(vitest|node:test|jest|mocha)(\\u002F|$)/]',
      message: 'Published test helpers take the test runner as an argument.',
    },
  ],
};

/** Kept small so that a reader can hold a file in mind. */
export const maxLines = 500;

/** These may be imported from everywhere; `ports` and `model` take only their types. */
const common = ['errors', 'time'];

/** @type {Readonly<Record<string, Folder>>} */
export const folders = {
  ports: { imports: [], types: ['model', ...common], bans: ['ambientTime', 'chance', 'effects'] },
  model: { imports: [], types: ['ports', ...common], bans: ['ambientTime', 'chance', 'effects', 'asynchrony'] },
  core: {
    imports: ['model', 'ports', ...common],
    bans: ['ambientTime', 'chance', 'effects', 'asynchrony', 'dates'],
  },
  errors: { imports: [], types: ['model', 'ports'], bans: ['ambientTime', 'chance', 'effects', 'asynchrony'] },
  time: {
    imports: ['errors'],
    types: ['model', 'ports'],
    packages: ['luxon'],
    bans: ['ambientTime', 'chance', 'effects', 'asynchrony'],
  },
  events: { imports: common, types: ['model', 'ports'], packages: ['eventemitter3'], bans: ['ambientTime', 'chance'] },
  // Leases held for those who ask: by name through a store, or for the leadership of a scheduler.
  locks: { imports: ['ports', 'clocks', 'loggers', ...common], types: ['model'], node: true, bans: ['ambientTime'] },
  scheduler: { imports: ['core', 'model', 'ports', 'events', 'locks', ...common], node: true, bans: ['ambientTime'] },
  triggers: {
    imports: ['ports', ...common],
    types: ['model'],
    packages: ['luxon', 'cron-parser', 'cronstrue'],
    bans: ['ambientTime', 'chance', 'effects', 'asynchrony'],
  },
  // What a job store and an executor of NATS have in common. It loads no driver.
  nats: { imports: common, bans: ['ambientTime', 'chance', 'effects', 'asynchrony'] },
  stores: {
    imports: ['ports', 'model', 'serializers', 'locks', 'nats', ...common],
    node: true,
    shared: ['shared'],
    drivers: {
      sqlite: ['better-sqlite3'],
      postgres: ['pg'],
      redis: ['ioredis', 'redis'],
      nats: ['@nats-io/transport-node', '@nats-io/jetstream', '@nats-io/kv'],
    },
    bans: ['ambientTime'],
  },
  executors: {
    // Workers of a broker have no scheduler that would give them a clock, a logger and a serializer.
    imports: ['ports', 'serializers', 'clocks', 'loggers', 'nats', ...common],
    types: ['model'],
    node: true,
    shared: ['shared', 'remote'],
    drivers: { amqp: ['amqplib'], nats: ['@nats-io/transport-node'], bullmq: ['bullmq'] },
    bans: ['ambientTime'],
  },
  serializers: { imports: ['ports', 'model', ...common], packages: ['devalue'], bans: ['ambientTime', 'chance', 'effects'] },
  clocks: { imports: ['ports', ...common], node: true, bans: [] },
  loggers: { imports: ['ports'], bans: ['ambientTime', 'chance'] },
  testing: {
    imports: [
      'ports',
      'model',
      'core',
      'events',
      'scheduler',
      'locks',
      'triggers',
      'stores',
      'executors',
      'serializers',
      'clocks',
      ...common,
    ],
    composition: true,
    node: true,
    bans: ['ambientTime', 'testRunners'],
  },
};
