import { decide, type PlanContext } from '../core/decide.js';
import type { Decision } from '../core/draft.js';
import { quarantineRecord } from '../core/settle.js';
import type { JobRecord } from '../model/job.js';
import type { JobChange, MaybePromise, Revision, StoredJob } from '../ports/job-store.js';
import { isThenable } from '../time/thenable.js';
import type { Admission } from './limits/admission.js';
import type { Grant } from './limits/grant.js';
import type { LoopDeps } from './loop-deps.js';
import type { StoreLoop } from './store-loop.js';

/** Decides on what was claimed, commits it, and starts what was won. */
export class ClaimWriter {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  readonly #admission: Admission;
  #won = 0;
  #lost = 0;
  /** How long what was decided and started has held up the event loop since this was set to 0. */
  heldMs = 0;

  constructor(loop: StoreLoop, deps: LoopDeps, admission: Admission) {
    this.#loop = loop;
    this.#deps = deps;
    this.#admission = admission;
  }

  /** Jobs that were claimed here since the loop was made, and how many of them another node had changed by then. */
  get claims(): { readonly won: number; readonly lost: number } {
    return { won: this.#won, lost: this.#lost };
  }

  /** Answers how many commits won. */
  act(due: readonly StoredJob[]): number | Promise<number> {
    if (this.#admission.isOff) return this.#write(due);
    const free = new Map<string, number>();
    const admitting = this.#admission.admit(due, (record) => this.#wants(record, free));
    return isThenable(admitting) ? Promise.resolve(admitting).then((grants) => this.#write(due, grants)) : this.#write(due, admitting);
  }

  /** How many runs of it would start on this node, if no limit were in the way. */
  #wants(record: JobRecord, free: Map<string, number>): number {
    const { executor } = record.definition.policy;
    const slots = free.get(executor) ?? this.#deps.executors.free(executor);
    try {
      const { start } = decide(record, { ...this.#loop.planContext(), slots });
      free.set(executor, slots - start.length);
      return start.length;
    } catch {
      return 0; // told of when it is decided upon
    }
  }

  /** @param grants - what the limits leave to each of the jobs that is under any. */
  #write(due: readonly StoredJob[], grants?: readonly (Grant | undefined)[]): number | Promise<number> {
    const { clock, executors } = this.#deps;
    const askedAt = clock.monotonic();
    const contexts = new Map<string, { slots: number; starts: number } & PlanContext>();
    const decisions: Decision[] = [];
    const changes: JobChange[] = [];
    const plan = this.#loop.planContext();
    due.forEach(({ record, revision }, index) => {
      const { executor } = record.definition.policy;
      let context = contexts.get(executor);
      if (context === undefined) {
        context = { ...plan, slots: executors.free(executor), starts: 0 };
        contexts.set(executor, context);
      }
      const grant = grants?.[index];
      const limited = grant && { ...context, slots: Math.min(context.slots, grant.permits.length), holdUntil: grant.holdUntil };
      const decision = this.#decide(record, limited ?? context);
      context.slots -= decision.start.length;
      context.starts += decision.start.length;
      decisions.push(decision);
      changes.push({ id: record.id, expected: revision, next: decision.next, ledger: decision.ledger });
    });
    const finish = (revisions: readonly (Revision | undefined)[]): number => {
      const begunAt = clock.monotonic();
      let won = 0;
      due.forEach(({ record }, index) => {
        const revision = revisions[index];
        const decision = decisions[index];
        const grant = grants?.[index];
        if (revision === undefined || decision === undefined) {
          if (grant !== undefined) this.#admission.refuse(grant);
          return;
        }
        won += 1;
        this.#loop.apply(record, decision, revision, askedAt, grant?.permits);
        if (grants !== undefined) this.#admission.settle(record.id, decision.next, grant, decision.start.length);
      });
      this.#won += won;
      this.#lost += due.length - won;
      this.heldMs += clock.monotonic() - begunAt;
      return won;
    };
    let answer: MaybePromise<readonly (Revision | undefined)[]>;
    try {
      answer = this.#loop.access.commit(changes);
    } catch (error) {
      this.#refuseAll(grants);
      throw error;
    }
    if (!isThenable(answer)) return finish(answer);
    this.heldMs += clock.monotonic() - askedAt;
    for (const [executor, { starts }] of contexts) executors.promise(executor, starts);
    const keepPromises = (): void => {
      for (const [executor, { starts }] of contexts) executors.promise(executor, -starts);
    };
    return answer.then(
      (revisions) => {
        keepPromises();
        return finish(revisions);
      },
      (error: unknown) => {
        keepPromises();
        this.#refuseAll(grants);
        throw error;
      },
    );
  }

  /** What was taken for runs of which it is not known whether they were recorded: none of them starts here. */
  #refuseAll(grants: readonly (Grant | undefined)[] = []): void {
    for (const grant of grants) if (grant !== undefined) this.#admission.refuse(grant);
  }

  /** The node was told to stop while it claimed: what it was answered is shown to others again at once, by writing it as it is. */
  async leave(due: readonly StoredJob[]): Promise<void> {
    try {
      await this.#loop.access.commit(due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: record, ledger: [] })));
    } catch (error) {
      this.#deps.logger.debug('what was claimed could not be given back; it reappears in some seconds', { error, jobStore: this.#loop.access.alias });
    }
  }

  /** One record that nothing can be decided about, whatever the reason, must not hold up the others of its store. */
  #decide(record: JobRecord, context: PlanContext): Decision {
    try {
      return decide(record, context);
    } catch (error) {
      this.#deps.logger.error('a job could not be dealt with; it goes into quarantine', { error, jobId: record.id, jobStore: this.#loop.access.alias });
      return quarantineRecord(record, error, context);
    }
  }
}
