import type { Edit } from './simulation-bundle.js';

/** A fault somebody might make. */
export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

function mutant(name: string, file: string, from: string, to: string): Mutant {
  return { name, edits: [{ file, from, to }] };
}

/** Faults in the planner, the loop, the runner and the store, each of which breaks a promise. */
export const mutants: readonly Mutant[] = [
  // ── fencing and leases ──
  mutant('a run is finished without looking at its fencing token', 'core/finish.ts', "run.token === held.token && run.id === held.id", 'run.id === held.id'),
  mutant('a lost lease does not abort the task', 'scheduler/runner.ts', '    active.abort(new LeaseLostError(active.runId));\n    this.#deps', '    this.#deps'),
  mutant('leases are never renewed', 'scheduler/heartbeat.ts', '      this.added(active);\n      this.#host.writer.push(this.#renewalOf(active));', '      this.added(active);'),
  mutant('a lease is trusted for longer than it lasts', 'scheduler/heartbeat.ts', 'this.#host.leaseMs * (1 - MARGIN)', 'this.#host.leaseMs * 1.5'),
  mutant('a run is taken over before its lease is out', 'core/decide.ts', 'run.leaseUntil !== null && run.leaseUntil <= context.now', 'run.leaseUntil !== null && run.leaseUntil <= context.now + 2_000'),
  mutant('runs of a dead node are never taken over', 'core/decide.ts', 'run.leaseUntil !== null && run.leaseUntil <= context.now', 'run.leaseUntil === 0'),
  mutant('a durable store of one process has no leases', 'scheduler/store-access.ts', 'return this.store.shared || this.store.durable;', 'return this.store.shared;'),
  mutant('the number of crashes is not limited', 'core/decide.ts', ' && crashes <= policy.maxCrashes', ''),
  mutant('a run that may start once at most is taken up again', 'core/decide.ts', "policy.onCrash === 'retry' && crashes", 'crashes'),
  {
    name: 'the store’s time is counted on the wall clock',
    edits: [
      { file: 'scheduler/store-clock.ts', from: 'Math.floor(this.#clock.monotonic() + this.#offset)', to: 'Math.floor(this.#clock.now() + this.#offset)' },
      { file: 'scheduler/store-clock.ts', from: 'this.#offset = theirs - after;', to: 'this.#offset = theirs - this.#clock.now();' },
    ],
  },

  // ── slots ──
  mutant('each node counts its own runs as instances', 'core/draft.ts', 'this.runs.length === 0 ? 0 : runningCount(this.runs)', "this.runs.filter((run) => run.state === 'running' && run.owner === context.node).length"),
  mutant('a waiting run holds a slot', 'model/job.ts', "for (const run of runs) if (run.state === 'running') count += 1;", 'count = runs.length;'),
  mutant('a retry starts without a slot', 'core/overlap.ts', 'if (draft.running >= limit || berth.slots <= 0) break;', 'if (berth.slots <= 0) break;'),
  mutant('a queue has no end', 'core/overlap.ts', "if (queued(draft.runs) >= policy.queueLimit) return refuse(draft, fire, 'queue-full');", ''),

  // ── fire times and verdicts ──
  mutant('grace is applied twice', 'core/due-fires.ts', 'now - misfireGraceMs - 1', 'now - 2 * misfireGraceMs - 1'),
  mutant('a skipped fire time gets no verdict', 'core/overlap.ts', "  draft.writeRange('skipped', reason, range);\n  return false;", '  return false;'),
  mutant('the cursor stays where it is when nothing starts', 'core/decide.ts', 'nextFireTime: ended ? null : due.next,', 'nextFireTime: ended ? null : due.chosen.length === 0 ? state.nextFireTime : due.next,'),
  mutant('what a pause skipped is forgotten', 'core/edit.ts', "  const range = fireRange(definition, first, last);\n  draft.writeRange('skipped', reason, range);", '  const range = fireRange(definition, first, last);'),
  mutant('coalescing counts the fire time that runs as coalesced', 'core/due-fires.ts', 'previousFire(definition, live, last) ?? live', 'last'),
  mutant('catching up goes past the end of the job', 'core/fires.ts', 'Math.min(before, policy.endTime + 1)', 'before'),
  mutant('jitter moves a start past the next fire time', 'core/fires.ts', 'Math.min(jitterMs, following - fire - 1)', 'jitterMs'),
  mutant('maxRuns is one too many', 'core/settle.ts', 'runCount >= maxRuns', 'runCount > maxRuns'),
  mutant('a new schedule may repeat fire times of the old one', 'core/edit.ts', 'next !== null && lastFireTime !== null && next <= lastFireTime ? nextFire(definition, lastFireTime) : next', 'next'),

  // ── pausing, removing, changing ──
  mutant('a change is not compare-and-set', 'scheduler/job-changes.ts', 'expected: stored.revision, next', 'expected: ((await access.get(id)) ?? stored).revision, next'),
  mutant('a paused job’s queue goes on', 'model/job.ts', "status === 'active' || (run.manual && status !== 'removed')", "status !== 'removed'"),
  mutant('removing forgets the runs that wait', 'core/edit.ts', "    draft.writeRun('cancelled', 'removed', run, null);\n", ''),

  // ── the store, and a way to it that fails ──
  mutant('a claim is committed whatever the revision', 'stores/memory/memory-job-store.ts', 'if (entry?.revision !== expected) return undefined;', 'if (entry === undefined) return undefined;'),
  mutant('revisions are counted per job', 'stores/memory/memory-job-store.ts', '      const revision = ++this.#revision;\n      const entry', '      const revision = 1;\n      const entry'),
  mutant('a claimed record stays hidden', 'stores/shared/wake-index.ts', 'const until = request.now + request.reserveMs;', 'const until = Number.MAX_SAFE_INTEGER;'),
  mutant('results that a failing store did not take are dropped', 'scheduler/run-writer.ts', '        this.#queue = [...batch, ...this.#queue];\n', ''),
  mutant('the loop does not come back after an error', 'scheduler/store-loop.ts', "this.#sleepUntil(this.now() + this.health.failed('tick', error));", "this.health.failed('tick', error);"),
  mutant('what the planner has to say is not published', 'scheduler/store-loop.ts', '      reporter.job(record, this.access.alias, notice);\n', ''),

  // ── what is expected of a job ──
  mutant('something is expected of a job that is paused', 'core/watch.ts', 'definition.policy.expect == null || !isWatched(state.status, definition)', 'definition.policy.expect == null'),
  mutant('an alarm that holds is raised again', 'core/watch.ts', 'let overdue = watch?.overdue ?? null;', 'let overdue: JobOverdue | null = null;'),
  mutant('an alarm is raised and nobody is told', 'core/watch.ts', "  draft.note({ type: 'jobOverdue', ...first,", "  void ({ type: 'jobOverdue', ...first,"),
  mutant('an alarm goes on after what was expected has happened', 'core/watch.ts', 'return deadline !== null && deadline <= draft.now;', 'return deadline !== null;'),
  mutant('nobody looks for what is overdue', 'scheduler/alarm-watch.ts', '      await this.#raiseAll(this.#loop.now());\n', ''),
  mutant('a job is suspended one failure late', 'core/suspend.ts', 'stats.consecutiveFailures < most', 'stats.consecutiveFailures <= most'),
  mutant('runs by hand count as failures in a row', 'model/stats.ts', '  if (manual) return before;\n', ''),

  // ── limits ──
  mutant('each node counts for itself what a limit allows', 'scheduler/limits/wiring.ts', 'loop.access.leased ? loop.access : null', 'null'),
  mutant('a slot of a limit is not renewed', 'scheduler/limits/slot-keeper.ts', '        for (const slot of [...this.#slots]) void this.#renew(slot);\n', ''),
  mutant('a run that is told to stop gives its slot back', 'scheduler/runner.ts', '        active.timedOut = true;\n', '        active.timedOut = true;\n        active.permit?.release();\n'),
  mutant('a start under a rate makes room when its run ends', 'scheduler/limits/meter.ts', "  begin(slot: Slot): void {\n    if (this.kind === 'concurrency') return;", "  begin(slot: Slot): void {\n    if (this.size > 0) return;"),
  mutant('a slot is kept after its run', 'scheduler/runner.ts', '    active.timeoutTimer?.cancel();\n    active.permit?.release();\n', '    active.timeoutTimer?.cancel();\n'),

  // ── jobs that follow others ──
  mutant('an end that is told twice counts twice', 'core/links/receive.ts', 'notice.seq <= known.seq', 'notice.seq < 0'),
  mutant('a job that waits for several begins with the first', 'core/links/receive.ts', 'if (left.length === 0) return begin(', 'if (left.length < waits.length) return begin('),
  mutant('a fire time that needs all of several comes of one', 'core/links/receive.ts', "follows.mode === 'any' ? ended.length > 0", "follows.mode !== 'any' || ended.length > 0 ? ended.length > 0"),
  mutant('a job begins although what it depends on failed', 'core/links/receive.ts', 'if (onFailure === undefined) return callOff(draft, source, notice);', 'if (onFailure === null) return callOff(draft, source, notice);'),
];
