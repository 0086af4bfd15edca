/** Milliseconds since the Unix epoch, UTC. An integer. */
export type EpochMs = number;

/**
 * A set of instants. Pure: no clock, no I/O, no hidden state; a trigger remembers nothing, so a
 * scheduler may ask it about any instant, in any order, as often as it likes.
 *
 * Laws, checked over every trigger by `triggerLaws` (`punctual/testing`):
 *
 * 1. `next(t) > t`, or `null` when no instant follows.
 * 2. Deterministic: the same `t`, the same answer.
 * 3. Monotone: `a <= b` implies `next(a) <= next(b)`, with `null` as plus infinity.
 * 4. Gap-free: for every `x` in `[a, next(a))`, `next(x) === next(a)`.
 * 5. Round trip: the trigger read back from `toJSON()` gives the same answers.
 * 6. Mirror: where `previous` exists, `previous(t)` is the greatest instant before `t`.
 *
 * Answers are integers; a fractional argument is allowed and means the real number it is.
 */
export interface Trigger {
  /** Names the kind in stored records. Must be registered to be read back. */
  readonly kind: string;

  /** The first instant strictly after `after`, or `null` when there is none. */
  next(after: EpochMs): EpochMs | null;

  /** The last instant strictly before `before`, or `null` when there is none. Makes catch-up cheaper. */
  previous?(before: EpochMs): EpochMs | null;

  /**
   * How many instants lie in `[from, to]`, if that can be said without enumerating them.
   * Only ever called to fill in the count of a ledger entry after downtime.
   */
  count?(from: EpochMs, to: EpochMs): number;

  /**
   * Present on triggers that measure from the end of the previous run rather than from a fixed grid.
   * The planner then leaves the job without a next fire time while it runs and asks this once the run has ended.
   * `next` still answers (a forecast on a grid), and still keeps the laws.
   */
  readonly nextAfterCompletion?: ((completedAt: EpochMs) => EpochMs | null) | undefined;

  /**
   * Present on triggers of the kind `startup`, which fire when a scheduler starts: an instant no function of time can
   * know. `next` has no answers then; a scheduler that starts gives each active job with such a trigger this one fire
   * time, and never counts the job as completed for want of another.
   */
  fireTimeFor?(startedAt: EpochMs): EpochMs | null;

  /**
   * Present on triggers that fire when runs of other jobs have ended, which no function of time can know. `next` has no
   * answers then: their ends make the fire times.
   */
  readonly follows?: Following | undefined;

  /**
   * Present on what stands in a shared store for the schedule of a job that runs on each of its nodes: that schedule, which
   * each node follows by itself. What stands for it has no fire times of its own.
   */
  readonly onEachNode?: Trigger | undefined;

  /**
   * Present on triggers whose schedule may begin with an instant that is not `next(now)`: a date that has passed is
   * still due. The fire time with which a job added at `now` begins; `null` leaves it to `next`.
   */
  first?(now: EpochMs): EpochMs | null;

  /**
   * The same trigger with what its maker left open filled in from the scheduler and the job it is added to: the
   * zone of a cron expression without one, the anchor of an interval without a start. A trigger that leaves
   * nothing open answers itself; one that holds others asks them. The scheduler calls this once, when a job is
   * added, and stores the result, so that a restart on a machine in another zone changes nothing.
   */
  withDefaults?(defaults: TriggerDefaults): Trigger;

  /**
   * Present on what stands for a stored trigger that cannot be read: why not. Its job goes into quarantine, and nothing of
   * it is run, not even a fire time that is known.
   */
  readonly unreadable?: Error | undefined;

  /** Upper bound, in ms, of the deterministic delay a scheduler adds to each start. Never moves an instant. */
  readonly jitter?: number | undefined;

  /** Plain data from which a registered reader makes an equal trigger. */
  toJSON(): TriggerJson;
}

/** What a trigger follows. */
export interface Following {
  /** Ids of the jobs, each once, of the same store. */
  readonly jobs: readonly string[];
  /** Which ends count: `succeeded`; `failed` and `abandoned`; any. */
  readonly on: 'success' | 'failure' | 'any';
  /** `all`: it fires once each of the jobs has had such an end since the last fire time that came of them. `any`: with each such end. */
  readonly mode: 'all' | 'any';
}

/** What a scheduler knows and a trigger may have left open. */
export interface TriggerDefaults {
  /** IANA name of the scheduler's time zone. */
  readonly timezone: string;
  /** When the job was added: intervals count from here. */
  readonly anchor: EpochMs;
  /** Stable text, the job's id: spreads `H` fields of cron expressions. */
  readonly seed?: string | undefined;
}

/** The stored form of a trigger. */
export interface TriggerJson {
  readonly kind: string;
  /** Bumped whenever the meaning of the stored fields changes. A newer one than is known is not guessed at. */
  readonly v: number;
  readonly [field: string]: unknown;
}

/** Turns stored triggers back into live ones. */
export interface TriggerReader {
  /** @throws when the kind is unknown, the version newer, or the fields invalid. */
  read(json: TriggerJson): Trigger;
}
