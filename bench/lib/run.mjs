/**
 * A run as a scheduler hands it to an executor: dates and the signal are made when they are asked for.
 *
 * @implements {RunRequest}
 * @implements {RunContext}
 * @typedef {import('punctual').RunRequest} RunRequest
 * @typedef {import('punctual').RunContext} RunContext
 */
export class Run {
  jobId = 'mail-to-customers';
  jobName = null;
  attempt = 1;
  isCatchUp = false;
  isManual = false;
  /** @type {RunContext['follows']} */
  follows = [];
  /** @type {RunContext['tags']} */
  tags = [];
  /** @type {RunContext['metadata']} */
  metadata = {};
  logger = console;
  policy = POLICY;
  abortReason = undefined;
  /** @type {(() => void) | null} */
  onAbort = null;
  #at;
  /** @type {AbortController | undefined} */
  #controller;

  /**
   * @param {string} task
   * @param {number} i which one it is
   * @param {readonly unknown[]} args
   * @param {RunRequest['module']} module
   */
  constructor(task, i, args, module = null) {
    this.#at = 1_750_000_000_000 + i;
    this.runId = `${this.jobId}@${this.#at}`;
    this.task = task;
    this.args = args;
    this.module = module;
  }

  get context() {
    return this;
  }
  get scheduledFor() {
    return new Date(this.#at);
  }
  get startedAt() {
    return new Date(this.#at);
  }
  get nextRunTime() {
    return new Date(this.#at);
  }
  get signal() {
    return (this.#controller ??= new AbortController()).signal;
  }
  fn() {
    return undefined;
  }
}

const POLICY = { timeoutMs: null, retry: null, onCrash: /** @type {const} */ ('retry'), maxCrashes: 3, priority: 0 };
