import { AsyncScheduler, CronTrigger } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';

function newScheduler(): AsyncScheduler {
  return new AsyncScheduler({ clock: new VirtualClock('2026-01-01T00:00:00Z'), timezone: 'America/New_York' });
}

describe('a cron string given to a scheduler', () => {
  it('is read in the time zone of the scheduler', async () => {
    const job = await newScheduler().addJob(() => undefined, '0 9 * * *');
    expect(job.nextRunTime).toEqual(new Date('2026-01-01T14:00:00Z'));
  });

  it.each(['TZ=Europe/Berlin 0 9 * * *', 'CRON_TZ=Europe/Berlin 0 9 * * *'])('%s keeps the zone it names', async (expression) => {
    const job = await newScheduler().addJob(() => undefined, expression);
    expect(job.nextRunTime).toEqual(new Date('2026-01-01T08:00:00Z'));
  });

  it('has its H spread by the id of the job, the same each time', async () => {
    const times = async (id: string): Promise<Date[]> => {
      const scheduler = newScheduler();
      await scheduler.addJob(() => undefined, 'H H * * *', { id });
      return scheduler.nextRunTimes(id, 2);
    };
    const first = await times('backup-a');
    expect(await times('backup-a')).toEqual(first);
    expect(await times('backup-b')).not.toEqual(first);
  });

  it('has its H spread by the id when the job is rescheduled, also inside a trigger', async () => {
    const scheduler = newScheduler();
    const job = await scheduler.addJob(() => undefined, '@daily', { id: 'backup' });
    const asString = await job.reschedule('H * * * *');
    const asTrigger = await job.reschedule(new CronTrigger('H * * * *'));
    expect(asString.nextRunTime).not.toBeNull();
    expect(asTrigger.nextRunTime).toEqual(asString.nextRunTime);
  });
});
