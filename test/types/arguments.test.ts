import { describe, expectTypeOf, it } from 'vitest';
import { AsyncScheduler, currentRun, IntervalTrigger, isPunctualError, remoteTask, type BrokerError, type ErrorCode, type EventOf, type Job, type RunContext, type RunHandle, type TaskRef } from 'punctual';

const trigger = new IntervalTrigger({ seconds: 10 });
const report = (kind: string, format: 'pdf' | 'html'): string => kind + format;
const tick = (): void => undefined;
const maybe = (text?: string): string => text ?? '';

/** Never called: what is checked is that it compiles, and that the marked lines do not. */
function compiles(): void {
  const scheduler = new AsyncScheduler({ tasks: { report, tick, maybe } });

  // from a function
  void scheduler.addJob(tick, trigger);
  void scheduler.addJob(maybe, trigger);
  void scheduler.addJob(maybe, trigger, { args: ['a'] });
  void scheduler.addJob(report, trigger, { args: ['daily', 'pdf'], id: 'x' });
  // @ts-expect-error -- the arguments are missing
  void scheduler.addJob(report, trigger);
  // @ts-expect-error -- the arguments are missing among the options
  void scheduler.addJob(report, trigger, { id: 'x' });
  // @ts-expect-error -- no such format
  void scheduler.addJob(report, trigger, { args: ['daily', 'docx'] });
  // @ts-expect-error -- one too many
  void scheduler.addJob(report, trigger, { args: ['daily', 'pdf', 1] });
  // @ts-expect-error -- it takes none
  void scheduler.addJob(tick, trigger, { args: [1] });

  // from the name of a task
  void scheduler.addJob('tick', trigger);
  void scheduler.addJob('report', trigger, { args: ['daily', 'html'] });
  // @ts-expect-error -- the arguments are missing
  void scheduler.addJob('report', trigger);
  // @ts-expect-error -- of the wrong type
  void scheduler.addJob('report', trigger, { args: [1, 'pdf'] });
  // @ts-expect-error -- no such task
  void scheduler.addJob('reprot', trigger);

  // from what defineTask answers
  const ref = scheduler.defineTask('mail', (to: string, copies: number) => to.repeat(copies));
  expectTypeOf(ref).toEqualTypeOf<TaskRef<[to: string, copies: number], string>>();
  void scheduler.addJob(ref, trigger, { args: ['me', 2] });
  // @ts-expect-error -- the arguments are missing
  void scheduler.addJob(ref, trigger);
  // @ts-expect-error -- of the wrong type
  void scheduler.addJob(ref, trigger, { args: [2, 'me'] });

  // from a task that is a module, of whose arguments nothing is known
  const mixed = new AsyncScheduler({ tasks: { report, thumbs: { module: new URL('file:///thumbs.js'), export: 'make' } } });
  void mixed.addJob('thumbs', trigger, { args: ['/photos', 3] });
  void mixed.addJob('thumbs', trigger);
  void mixed.enqueue('thumbs', { args: [1] });
  // @ts-expect-error -- the others are checked as ever
  void mixed.addJob('report', trigger, { args: [1, 'pdf'] });
  // from a task that is elsewhere
  const remote = new AsyncScheduler({ tasks: { mail: remoteTask<(to: string, copies?: number) => void>(), any: { remote: true } } });
  void remote.addJob('mail', trigger, { args: ['me'] });
  void remote.addJob('any', trigger, { args: [1, 'x'] });
  // @ts-expect-error -- the arguments are missing
  void remote.addJob('mail', trigger);
  // @ts-expect-error -- of the wrong type
  void remote.addJob('mail', trigger, { args: [7] });
  expectTypeOf(remote.defineTask('a', remoteTask<(n: number) => string>())).toEqualTypeOf<TaskRef<[n: number], string>>();
  expectTypeOf(remote.defineTask<(n: number) => string>('b', { remote: true })).toEqualTypeOf<TaskRef<[n: number], string>>();
  expectTypeOf(remote.defineTask('c', { remote: true })).toEqualTypeOf<TaskRef<unknown[]>>();
  // @ts-expect-error -- a task is a function or a module
  new AsyncScheduler({ tasks: { thumbs: { url: 'file:///thumbs.js' } } });

  // of what is not known, anything
  const unknownTask: TaskRef = ref;
  void scheduler.addJob(unknownTask, trigger, { args: [1] });
  void scheduler.addJob(tick as never, trigger);
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  void scheduler.addJob(tick as any, trigger, { args: [1] });
  const names: ('tick' | 'maybe')[] = ['tick', 'maybe'];
  for (const name of names) void scheduler.addJob(name, trigger);
  // a scheduler that was given no tasks takes any name
  void new AsyncScheduler().addJob('anything', trigger);

  // @ts-expect-error -- no such option
  void scheduler.addJob(tick, trigger, { maxInstance: 2 });
  // @ts-expect-error -- no such mode
  void scheduler.addJob(tick, trigger, { overlap: 'wait' });
  // @ts-expect-error -- a schedule is changed by rescheduleJob
  void scheduler.modifyJob('x', { trigger });
  // @ts-expect-error -- no such event
  scheduler.on('jobExecutd', tick);
  scheduler.on('jobExecuted', (event) => {
    expectTypeOf(event.durationMs).toEqualTypeOf<number>();
    expectTypeOf(event).not.toHaveProperty('error');
  });
}

/** The same for what runs answer. */
async function answers(): Promise<void> {
  const scheduler = new AsyncScheduler({ tasks: { report, tick, load: async (id: number) => Promise.resolve({ id }) } });
  expectTypeOf(await (await scheduler.enqueue(() => 7)).result()).toEqualTypeOf<number>();
  expectTypeOf(await (await scheduler.enqueue(async (n: number) => Promise.resolve(n > 1), { args: [1] })).result()).toEqualTypeOf<boolean>();
  expectTypeOf(await (await scheduler.enqueue('load', { args: [1] })).result()).toEqualTypeOf<{ id: number }>();
  const ref = scheduler.defineTask('mail', async (to: string) => Promise.resolve(to.length));
  expectTypeOf(await (await scheduler.enqueue(ref, { args: ['me'] })).result()).toEqualTypeOf<number>();
  const job = await scheduler.addJob(ref, trigger, { args: ['me'] });
  expectTypeOf(await (await job.run()).result()).toEqualTypeOf<number>();
  expectTypeOf(await (await (await scheduler.addJob('report', trigger, { args: ['a', 'pdf'] })).run()).result()).toEqualTypeOf<string>();
  // Of a job that was only asked for, and of a task that is elsewhere, nothing is known.
  expectTypeOf(await (await scheduler.runJob('x')).result()).toEqualTypeOf<unknown>();
  expectTypeOf(await (await new AsyncScheduler().enqueue('any')).result()).toEqualTypeOf<unknown>();
  const remote = new AsyncScheduler({ tasks: { thumbs: { module: new URL('file:///thumbs.js') }, mail: remoteTask<(to: string) => Promise<number>>() } });
  expectTypeOf(await (await remote.enqueue('thumbs')).result()).toEqualTypeOf<unknown>();
  expectTypeOf(await (await remote.enqueue('mail', { args: ['me'] })).result()).toEqualTypeOf<number>();
  // What knows more goes where less is asked for.
  const any: AsyncScheduler[] = [scheduler, remote, new AsyncScheduler()];
  expectTypeOf(any[0]!.node).toEqualTypeOf<string>();
  const one: Job = job;
  const handle: RunHandle = await one.run();
  expectTypeOf(handle.result).returns.resolves.toEqualTypeOf<unknown>();
}

describe('types', () => {
  it('of results come from the task', () => {
    expectTypeOf(answers).toBeFunction();
  });

  it('of arguments come from the function, the task name or the reference', () => {
    expectTypeOf(compiles).toBeFunction();
  });

  it('of what calls answer', () => {
    expectTypeOf<ReturnType<AsyncScheduler['addJob']>>().toExtend<Promise<Job>>();
    expectTypeOf<AsyncScheduler['resumeJob']>().returns.resolves.toEqualTypeOf<Job | undefined>();
    expectTypeOf<AsyncScheduler['getJob']>().returns.resolves.toEqualTypeOf<Job | undefined>();
    expectTypeOf<AsyncScheduler['nextRunTimes']>().returns.resolves.toEqualTypeOf<Date[]>();
    expectTypeOf(currentRun).returns.toEqualTypeOf<RunContext>();
  });

  it('of errors depend on their code', () => {
    const narrow = (error: unknown): unknown => {
      if (isPunctualError(error, 'BROKER_FAILED')) return expectTypeOf(error).toEqualTypeOf<BrokerError>();
      if (isPunctualError(error, 'DEPENDENCY_CYCLE')) return expectTypeOf(error.cycle).toEqualTypeOf<readonly string[]>();
      if (isPunctualError(error, 'STORE_UNUSABLE')) return expectTypeOf(error.reason).toEqualTypeOf<string>();
      if (isPunctualError(error)) return expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
      // @ts-expect-error -- no such code
      return isPunctualError(error, 'BROKEN');
    };
    expectTypeOf(narrow).toBeFunction();
  });

  it('of events depend on their name', () => {
    expectTypeOf<EventOf<'jobMissed'>['reason']>().toEqualTypeOf<'misfire-grace' | 'catch-up-limit'>();
    expectTypeOf<EventOf<'jobExecuted'>>().toHaveProperty('result');
    expectTypeOf<EventOf<'schedulerStarted'>>().not.toHaveProperty('jobId');
  });
});
