import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { insertMany, readMany, type Bulk } from './bulk.js';
import { DefinedSet, type Step, type SyncJob, type Wanted } from './defined-set.js';
import { confirmLinks } from './links/cycles.js';
import { checkLinks, isLinked, linkJobs, type LinkHost } from './links/linking.js';
import { flag, nonEmpty } from './policy.js';
import { SyncPlan, type SyncChange, type SyncCreation } from './sync-plan.js';

/** How definitions are synchronized. */
export interface SyncOptions {
  /** Name of the set. Its jobs are those that were synchronized under this name, and no others. */
  readonly owner: string;
  /** Remove jobs of the set that are no longer defined. Default `true`. */
  readonly prune?: boolean | undefined;
  /** Only say what would be done. Default `false`. */
  readonly dryRun?: boolean | undefined;
  /** Take over jobs with the ids of definitions that belong to another set, or to none. Default `false`: an error. */
  readonly adopt?: boolean | undefined;
  /** Alias of the store. Default `'default'`. */
  readonly jobStore?: string | undefined;
}

const OPTION_KEYS: readonly (keyof SyncOptions)[] = ['owner', 'prune', 'dryRun', 'adopt', 'jobStore'];

/** See `Scheduler.sync`. */
export async function syncJobs(bulk: Bulk, definitions: readonly SyncJob[], options: SyncOptions): Promise<SyncPlan> {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new InvalidOptionError('options', given, "an object such as { owner: 'billing' }");
  refuseUnknownKeys(options, '', OPTION_KEYS);
  if ((options.owner as unknown) === undefined) throw new InvalidOptionError('owner', undefined, "the name of this set of jobs, such as { owner: 'billing' }");
  const owner = nonEmpty(options.owner, 'owner');
  const prune = flag(options.prune, 'prune', true);
  const dryRun = flag(options.dryRun, 'dryRun');
  const adopt = flag(options.adopt, 'adopt');
  const loop = await bulk.open(options.jobStore === undefined ? 'default' : nonEmpty(options.jobStore, 'jobStore'));
  const set = new DefinedSet(bulk, loop, owner, adopt);
  let wanted: readonly Wanted[] = await set.read(definitions);
  const own = await set.ownJobs();
  const defined = new Set(wanted.map(({ id }) => id));
  const others = await readMany(loop, [...defined].filter((id) => !own.has(id)));
  const existing = new Map([...own, ...[...others].map(([id, { record }]) => [id, record] as const)]);

  set.refuseForeign(wanted.flatMap(({ id }) => existing.get(id) ?? []));
  const planned = wanted.map((job) => set.plan(job, existing.get(job.id)));
  const surplus = prune ? [...own.keys()].filter((id) => !defined.has(id)) : [];
  const links = wanted.map(({ id, fresh }) => ({ fresh, isStored: existing.has(id) && existing.get(id)?.state.status !== 'removed' }));
  const host: LinkHost = { loop, clock: bulk.clock, node: bulk.node, writer: loop.access };
  const areLinked = links.some(isLinked);
  if (areLinked && dryRun) await checkLinks(host, links);
  if (dryRun) return makePlan(owner, dryRun, wanted, planned, surplus);
  if (areLinked) {
    const linked = await linkJobs(host, links);
    wanted = wanted.map((job, index) => ({ ...job, fresh: linked[index]! }));
  }

  const absent = wanted.filter(({ id, isOver }) => !existing.has(id) && !isOver);
  const added = await insertMany(bulk, loop, absent.map(({ fresh }) => fresh));
  const done: Step[] = [];
  for (const [index, job] of wanted.entries()) {
    const step = planned[index];
    done.push(step === undefined || added.has(job.id) ? step : await set.carryOut(job));
  }
  if (areLinked) await confirmLinks(host, wanted.filter(isLinked).map(({ id }) => id));
  const removed: string[] = [];
  for (const id of surplus) if (await set.remove(id)) removed.push(id);
  return makePlan(owner, dryRun, wanted, done, removed);
}

function makePlan(owner: string, dryRun: boolean, wanted: readonly Wanted[], steps: readonly Step[], remove: readonly string[]): SyncPlan {
  const create: SyncCreation[] = [];
  const change: SyncChange[] = [];
  const keep: string[] = [];
  wanted.forEach(({ id }, index) => {
    const step = steps[index];
    if (step === undefined) keep.push(id);
    else if ('create' in step) create.push(step.create);
    else change.push(step.change);
  });
  return new SyncPlan({ owner, dryRun, create, change, keep, remove });
}
