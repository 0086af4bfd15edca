import { quarantineRecord } from '../../core/settle.js';
import { DependencyCycleError } from '../../errors/dependency-errors.js';
import type { JobRecord } from '../../model/job.js';
import type { Clock } from '../../ports/clock.js';
import type { JobWriter } from '../../ports/job-store.js';
import { changeRecord } from '../job-changes.js';
import type { StoreLoop } from '../store-loop.js';

/** Records looked at for one job, before it is taken to be in no circle. */
const MOST_RECORDS = 100_000;
/** The same for a look that is taken again and again. */
const MOST_ANCESTORS = 100;

type Read = (id: string) => Promise<JobRecord | undefined>;

/** Ids of the jobs that a record follows. */
export function sourcesOf({ definition, state }: JobRecord): readonly string[] {
  if (state.status === 'removed') return [];
  const { follows } = definition.trigger;
  const waits = state.links?.waits?.map(({ source }) => source) ?? [];
  return follows === undefined ? waits : [...follows.jobs, ...waits];
}

/** The same, of a record that fires: what is in quarantine closes no circle. */
function liveSourcesOf(record: JobRecord): readonly string[] {
  return record.state.status === 'quarantined' ? [] : sourcesOf(record);
}

/**
 * @param starts - jobs about to be written.
 * @param read - the record of a job as it will be: that of a job about to be written in the place of the one there is.
 * @throws DependencyCycleError when one of them would follow itself, over whichever others.
 */
export async function refuseCycles(starts: readonly JobRecord[], read: Read): Promise<void> {
  /** Jobs from which no circle was found. */
  const cleared = new Set<string>();
  for (const start of starts) {
    const cycle = await findCycle(start, read, sourcesOf, MOST_RECORDS, 'any', cleared);
    if (cycle !== undefined) throw new DependencyCycleError(cycle);
  }
}

/**
 * Ids of jobs that follow each other in a circle, the first one also last. Looks from a job to those it follows, and so on.
 *
 * @param which - any circle there is on the way, or only one over the job itself, which may lie behind another.
 */
async function findCycle(
  start: JobRecord,
  read: Read,
  sources: (record: JobRecord) => readonly string[],
  most: number,
  which: 'any' | 'own',
  cleared = new Set<string>(),
): Promise<readonly string[] | undefined> {
  const path: { readonly id: string; readonly left: string[] }[] = [{ id: start.id, left: [...sourcesOf(start)] }];
  const onPath = new Set([start.id]);
  let looked = 0;
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    const id = top.left.pop();
    if (id === undefined) {
      path.pop();
      onPath.delete(top.id);
      cleared.add(top.id);
      continue;
    }
    const isOnPath = onPath.has(id);
    if (isOnPath && (which === 'any' || id === start.id)) return [...path.slice(path.findIndex((step) => step.id === id)).map((step) => step.id), id];
    if (isOnPath || cleared.has(id) || (looked += 1) > most) continue;
    const record = await read(id);
    if (record === undefined) continue;
    onPath.add(id);
    path.push({ id, left: [...sources(record)] });
  }
  return undefined;
}

/** Where circles are looked for, and broken. */
export interface CycleHost {
  readonly loop: StoreLoop;
  readonly clock: Clock;
  readonly node: string;
}

/** @throws DependencyCycleError when a job in quarantine would close a circle if it were let go. */
export async function refuseReturn({ loop }: Pick<CycleHost, 'loop'>, record: JobRecord): Promise<void> {
  const cycle = await findCycle(record, (id) => readFrom(loop, id), liveSourcesOf, MOST_RECORDS, 'own');
  if (cycle !== undefined) throw new DependencyCycleError(cycle);
}

/**
 * Looks whether calls at the same moment have closed a circle over a job, of which none could see the others, and puts one of the
 * circle into quarantine. Without that, one run of one of them would come to runs without end.
 *
 * @param choose - which one.
 * @param most - records to look at.
 */
async function breakCycle(
  { loop, clock, node }: CycleHost,
  id: string,
  choose: (members: readonly JobRecord[]) => JobRecord | undefined,
  most: number,
): Promise<{ readonly cycle: readonly string[]; readonly quarantined: string } | undefined> {
  const start = await readFrom(loop, id);
  const cycle = start && (await findCycle(start, (other) => readFrom(loop, other), liveSourcesOf, most, 'own'));
  if (cycle === undefined) return undefined;
  // What was read one after another need not have been so at one time. It was, if it still is.
  const members: JobRecord[] = [];
  for (const [index, member] of cycle.slice(0, -1).entries()) {
    const record = await readFrom(loop, member);
    if (record === undefined || !sourcesOf(record).includes(cycle[index + 1]!)) return undefined;
    members.push(record);
  }
  const stopped = members.find(({ state }) => state.status === 'quarantined');
  if (stopped !== undefined) return { cycle, quarantined: stopped.id };
  const chosen = choose(members);
  if (chosen === undefined) return undefined;
  const next = cycle[cycle.indexOf(chosen.id) + 1]!;
  const isOfCircle = (record: JobRecord): boolean => liveSourcesOf(record).includes(next);
  await changeRecord(loop, clock, chosen.id, (record) =>
    isOfCircle(record) ? quarantineRecord(record, new DependencyCycleError(cycle, chosen.id), { now: loop.now(), node }) : undefined,
  );
  return { cycle, quarantined: chosen.id };
}

/**
 * The last step of a call that ties jobs to others: the last of several to write sees what all have written, and takes its own
 * jobs back out. If two see it, both do. In a transaction of the user's nothing is there yet; see {@link breakOldCycle}.
 *
 * @throws DependencyCycleError when one of the jobs was put into quarantine: for the first of them.
 */
export async function confirmLinks(host: CycleHost & { readonly writer: JobWriter }, ids: readonly string[]): Promise<void> {
  if (host.writer !== host.loop.access) return;
  let first: DependencyCycleError | undefined;
  // All of them, and then the error: what the call has written fires, whatever the caller makes of that.
  for (const id of ids) {
    const broken = await breakCycle(host, id, (members) => members.find((member) => member.id === id), MOST_RECORDS);
    if (broken?.quarantined === id) first ??= new DependencyCycleError(broken.cycle, id);
  }
  if (first !== undefined) throw first;
}

/** For what came to be of transactions, imports, and calls whose process died before it looked: stops the one that came last. */
export async function breakOldCycle(host: CycleHost, id: string): Promise<void> {
  await breakCycle(host, id, (members) => members.reduce((a, b) => (isLater(b, a) ? b : a)), MOST_ANCESTORS);
}

function isLater(a: JobRecord, b: JobRecord): boolean {
  const [sinceA, sinceB] = [a, b].map(({ state }) => state.links?.since ?? state.generation) as [number, number];
  return sinceA === sinceB ? a.id > b.id : sinceA > sinceB;
}

async function readFrom(loop: StoreLoop, id: string): Promise<JobRecord | undefined> {
  return (await loop.access.get(id))?.record;
}
