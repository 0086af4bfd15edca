import { refuseUnknownKeys } from '../errors/options.js';
import type { Member } from '../ports/job-store.js';
import type { NodeRole } from './leadership.js';
import { readCard, type ClockSkew, type ExecutorRoom, type NodeCard } from './node-card.js';
import { addRuns, runsByNode, type NodeRun } from './node-runs.js';
import { SchedulerBase } from './scheduler-base.js';
import type { StoreLoop } from './store-loop.js';

/** One node of a job store. */
export interface NodeInfo {
  readonly jobStore: string;
  readonly node: string;
  /** It is the scheduler that was asked. */
  readonly isSelf: boolean;
  /** `unheard`: nothing was heard of it for some time, and runs are still its own; they are taken over as their leases end. */
  readonly state: 'running' | 'paused' | 'stopping' | 'unheard';
  /**
   * What it does for the store, as of its last heartbeat: who leads at this moment `leader()` tells. `null` where the node does
   * not tell; so are the next four.
   */
  readonly role: NodeRole | null;
  readonly host: string | null;
  readonly pid: number | null;
  readonly startedAt: Date | null;
  readonly lastHeartbeat: Date | null;
  /** Version of each task it has defined: the first some thousand, where they are very many. */
  readonly tasks: Readonly<Record<string, number>>;
  readonly taskCount: number;
  /** Room in its executors, as of its last heartbeat. */
  readonly executors: Readonly<Record<string, ExecutorRoom>>;
  /** How far its clock is from the clock of the store; `null` where the store has none of its own. */
  readonly clockSkew: ClockSkew | null;
  /** What it runs now: the first hundred. */
  readonly running: readonly NodeRun[];
  readonly runningCount: number;
}

/** Looks at the nodes that share the job stores. */
export abstract class NodeFace extends SchedulerBase {
  /**
   * The nodes of each job store, and what they run: those that started and have not stopped. One that died is there until
   * two and a half of its heartbeats are missing (75 s by default), and then as `unheard` for as long as runs are its own.
   * What another node runs of jobs that each node runs (`exclusive: false`) is as of its last heartbeat. In a store that is this
   * scheduler's alone, and in one that cannot tell, it is this node alone and those that run something.
   *
   * @param query - `jobStore`: of that store only.
   * @throws UnknownStoreError, StoreFailedError
   * @example
   * ```ts
   * for (const { node, state, host, running } of await scheduler.getNodes()) console.log(node, state, host, running.length);
   * ```
   */
  async getNodes(query: { readonly jobStore?: string | undefined } = {}): Promise<NodeInfo[]> {
    refuseUnknownKeys(query, '', ['jobStore']);
    const loops = query.jobStore === undefined ? [...this.directory.loops] : [this.directory.require(query.jobStore)];
    return (await Promise.all(loops.map(async (loop) => this.#nodesOf(loop)))).flat();
  }

  async #nodesOf(loop: StoreLoop): Promise<NodeInfo[]> {
    await loop.open(this.context());
    const members = new Map<string, Member | undefined>((await loop.membership.members()).map((member) => [member.node, member]));
    const runs = await runsByNode(loop.all);
    for (const [node, member] of members) {
      const { jobs } = (node === this.node || member === undefined ? undefined : readCard(member.about)) ?? {};
      if (jobs !== undefined) addRuns(runs, node, jobs);
    }
    if (this.lifecycle.state !== 'stopped' && !members.has(this.node)) members.set(this.node, undefined);
    for (const node of runs.keys()) if (!members.has(node)) members.set(node, undefined);
    return [...members].sort(([a], [b]) => (a < b ? -1 : 1)).map(([node, member]) => {
      const isSelf = node === this.node && this.lifecycle.state !== 'stopped';
      const card = isSelf ? loop.membership.card() : member && readCard(member.about);
      const state = card?.state ?? (member === undefined ? 'unheard' : 'running');
      return { jobStore: loop.access.alias, node, isSelf, state, ...told(card, member), ...(runs.get(node) ?? { running: [], runningCount: 0 }) };
    });
  }
}

type Told = Pick<NodeInfo, 'role' | 'host' | 'pid' | 'startedAt' | 'lastHeartbeat' | 'tasks' | 'taskCount' | 'executors' | 'clockSkew'>;

function told(card: NodeCard | undefined, member: Member | undefined): Told {
  return {
    role: card?.role ?? null,
    host: card?.host ?? null,
    pid: card?.pid ?? null,
    startedAt: card === undefined ? null : new Date(card.startedAt),
    lastHeartbeat: member === undefined ? null : new Date(member.seenAt),
    tasks: Object.fromEntries(card?.tasks ?? []),
    taskCount: card?.taskCount ?? 0,
    executors: Object.fromEntries(card?.executors ?? []),
    clockSkew: card?.clockSkew ?? null,
  };
}
