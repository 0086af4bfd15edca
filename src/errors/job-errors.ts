import { inspectValue, PunctualError } from './base.js';
import { closest } from './options.js';

/** No job with this id (any more). */
export class JobNotFoundError extends PunctualError {
  readonly jobId: string;

  constructor(jobId: string, jobStore?: string) {
    const where = jobStore === undefined ? 'in any job store' : `in job store "${jobStore}"`;
    super('JOB_NOT_FOUND', `No job with the id ${inspectValue(jobId)} ${where}. It may have completed or been removed.`);
    this.jobId = jobId;
  }
}

/** The id is taken, or several are. */
export class ConflictingJobIdError extends PunctualError {
  /** The first of them. */
  readonly jobId: string;
  readonly jobIds: readonly string[];

  /** @param advice - what to do about it. */
  constructor(jobIds: string | readonly [string, ...string[]], advice?: string) {
    const ids = typeof jobIds === 'string' ? ([jobIds] as const) : jobIds;
    const subject = ids.length === 1 ? `A job with the id ${inspectValue(ids[0])} exists` : `Jobs with the ids ${ids.map(inspectValue).join(', ')} exist`;
    super(
      'CONFLICTING_JOB_ID',
      `${subject} already. ` +
        (advice ?? 'Give another id, or `replaceExisting: true` to take its place (its next fire time is kept when the trigger is the same).'),
    );
    this.jobId = ids[0];
    this.jobIds = ids;
  }
}

/** Jobs that are defined by one set of definitions belong to another, or to none. Nothing was changed. */
export class JobOwnedError extends PunctualError {
  /** Each of them, and the set it belongs to; `null` for none. */
  readonly jobs: readonly { readonly id: string; readonly owner: string | null }[];

  constructor(owner: string, jobs: readonly { readonly id: string; readonly owner: string | null }[]) {
    const list = jobs.map((job) => `${inspectValue(job.id)} (${job.owner === null ? 'no owner' : `of ${inspectValue(job.owner)}`})`).join(', ');
    super(
      'JOB_OWNED',
      `Jobs to be synchronized for ${inspectValue(owner)} exist, and are not its own: ${list}. ` +
        'Give others ids, or `adopt: true` to take these over.',
    );
    this.jobs = jobs;
  }
}

/** Exported jobs in a form that this release does not know: no export at all, or that of a newer release. */
export class UnknownFormatError extends PunctualError {
  readonly version: unknown;

  constructor(message: string, version: unknown) {
    super('UNKNOWN_FORMAT', message);
    this.version = version;
  }
}

/** The job is not the one that was read: somebody changed it in the meantime. */
export class JobChangedError extends PunctualError {
  readonly jobId: string;

  constructor(jobId: string) {
    super(
      'JOB_CHANGED',
      `Job ${inspectValue(jobId)} was changed since it was read. Read it again with getJob() and decide anew.`,
    );
    this.jobId = jobId;
  }
}

/** The trigger has no fire time, so the job would never run. */
export class NeverFiresError extends PunctualError {
  readonly jobId: string;

  constructor(jobId: string, trigger: string) {
    super(
      'NEVER_FIRES',
      `Job ${inspectValue(jobId)} would never fire: ${trigger} has no fire time from now on. ` +
        'To keep such a job on hand for runJob() or a later rescheduleJob(), add it with `paused: true`.',
    );
    this.jobId = jobId;
  }
}

/** A durable job store cannot keep this job. */
export class JobUnstorableError extends PunctualError {
  constructor(message: string, options?: ErrorOptions) {
    super('JOB_UNSTORABLE', message, options);
  }
}

/** One thing that is wrong with the arguments of a job. */
export interface ArgumentIssue {
  /** Where: the index of the argument, and the keys inside it. Empty for what concerns them all. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The schema of a task refuses the arguments of a job, or they cannot be brought up to the version of the task. */
export class InvalidArgumentsError extends PunctualError {
  readonly task: string;
  readonly issues: readonly ArgumentIssue[];

  constructor(task: string, issues: readonly ArgumentIssue[], options?: ErrorOptions) {
    const listed = issues.slice(0, 5).map(({ path, message }) => `${formatPath(path)}${message.replace(/\.$/, '')}`);
    const more = issues.length > 5 ? `; and ${issues.length - 5} more` : '';
    super('INVALID_ARGUMENTS', `Invalid arguments for task ${inspectValue(task)}: ${listed.join('; ')}${more}.`, options);
    this.task = task;
    this.issues = issues;
  }
}

function formatPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '';
  const [index, ...keys] = path;
  const first = typeof index === 'number' ? `args[${index}]` : `args.${String(index)}`;
  return `${first}${keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('')}: `;
}

/** A task name that no `defineTask` has registered in this scheduler, or that a worker behind a broker was not given. */
export class UnknownTaskError extends PunctualError {
  readonly task: string;

  /** @param where - who was asked for it: a scheduler, or a worker behind a broker. */
  constructor(task: string, known: Iterable<string>, where: 'scheduler' | 'worker' = 'scheduler') {
    const names = [...known];
    const name = inspectValue(task);
    const meant = where === 'worker' ? undefined : closest(task, names);
    const list = names.length === 0 ? 'No task is defined yet' : `Defined are: ${names.slice(0, 20).join(', ')}`;
    const advice = where === 'worker' ? `Give it to this worker: tasks: { ${name}: fn }` : `Call defineTask(${name}, fn) before adding jobs for it`;
    super('UNKNOWN_TASK', `Unknown task ${name}${where === 'worker' ? ' in this worker' : ''}${meant === undefined ? '.' : `; did you mean ${inspectValue(meant)}?`} ${list}. ${advice}.`);
    this.task = task;
  }
}

/** The run's time was up. The reason of its `signal`, and its error. */
export class JobTimeoutError extends PunctualError {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super('JOB_TIMEOUT', `The run took longer than its timeout of ${timeoutMs} ms.`);
    this.timeoutMs = timeoutMs;
  }
}

/** The run was asked to stop. The reason of its `signal`. */
export class JobAbortedError extends PunctualError {
  /** `replaced`, `cancelled`, `removed` or `shutdown`. */
  readonly reason: string;

  constructor(reason: string) {
    super('JOB_ABORTED', `The run was aborted: ${reason}.`);
    this.reason = reason;
  }
}

/**
 * The lease ran out, so another node may have the run, or the lock. The reason of its `signal`; whatever the run still does
 * will not be recorded. For a lock whose renewals failed, `cause` is the last error.
 */
export class LeaseLostError extends PunctualError {
  constructor(id: string, what: 'run' | 'lock' = 'run', options?: ErrorOptions) {
    super('LEASE_LOST', `The lease on ${what} ${inspectValue(id)} was lost; another node may have taken it over.`, options);
  }
}

/** `result()` of a run that ended with another verdict than `succeeded`, and without an error to hand on. */
export class RunNotSucceededError extends PunctualError {
  readonly runId: string;
  /** As in the history: `cancelled`, `abandoned`, `skipped`, …; `unknown` where the run is gone and the history has nothing of it. */
  readonly verdict: string;
  /** Why, as in the history: what `cancelRun` was given, `removed`, `rescheduled`, `max-crashes`, …; `null` where the verdict says it all. */
  readonly reason: string | null;

  constructor(runId: string, verdict: string, reason: string | null) {
    super(
      'RUN_NOT_SUCCEEDED',
      verdict === 'unknown'
        ? `Run ${inspectValue(runId)} is gone, and the history has nothing of it: its job was removed or rescheduled, or the store keeps no history.`
        : `Run ${inspectValue(runId)} ended as ${verdict}${reason === null ? '' : `: ${reason}`}.`,
    );
    this.runId = runId;
    this.verdict = verdict;
    this.reason = reason;
  }
}
