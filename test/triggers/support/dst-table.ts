import { CronTrigger } from '../../../src/triggers/cron/cron-trigger.js';
import type { DstRule } from '../../../src/triggers/wall-clock/engine.js';
import { Zone } from '../../../src/time/zone.js';

/** A row of the table in docs/triggers.md: what a zone's clocks did, and an expression near it. */
interface DstExample {
  readonly timezone: string;
  readonly what: string;
  readonly expression: string;
  /** Between these instants is what the row shows. */
  readonly from: string;
  readonly to: string;
}

const EXAMPLES: readonly DstExample[] = [
  {
    timezone: 'America/New_York',
    what: '2026-03-08, 02:00 becomes 03:00',
    expression: '30 2 * * *',
    from: '2026-03-08T05:00Z',
    to: '2026-03-09T04:00Z',
  },
  {
    timezone: 'America/New_York',
    what: '2026-03-08, 02:00 becomes 03:00',
    expression: '*/30 2 * * *',
    from: '2026-03-08T05:00Z',
    to: '2026-03-09T04:00Z',
  },
  {
    timezone: 'America/New_York',
    what: '2026-03-08, 02:00 becomes 03:00',
    expression: '*/30 1-3 * * *',
    from: '2026-03-08T05:00Z',
    to: '2026-03-09T04:00Z',
  },
  {
    timezone: 'America/New_York',
    what: '2026-11-01, 02:00 becomes 01:00',
    expression: '30 1 * * *',
    from: '2026-11-01T04:00Z',
    to: '2026-11-02T05:00Z',
  },
  {
    timezone: 'America/New_York',
    what: '2026-11-01, 02:00 becomes 01:00',
    expression: '*/30 1 * * *',
    from: '2026-11-01T04:00Z',
    to: '2026-11-02T05:00Z',
  },
  {
    timezone: 'Europe/London',
    what: '2026-03-29, 01:00 becomes 02:00',
    expression: '15,45 1 * * *',
    from: '2026-03-29T00:00Z',
    to: '2026-03-29T23:00Z',
  },
  {
    timezone: 'Europe/London',
    what: '2026-10-25, 02:00 becomes 01:00',
    expression: '15 1 * * *',
    from: '2026-10-24T23:00Z',
    to: '2026-10-26T00:00Z',
  },
  {
    timezone: 'Australia/Lord_Howe',
    what: '2026-10-04, 02:00 becomes 02:30',
    expression: '15 2 * * *',
    from: '2026-10-03T13:30Z',
    to: '2026-10-04T13:00Z',
  },
  {
    timezone: 'Australia/Lord_Howe',
    what: '2026-04-05, 02:00 becomes 01:30',
    expression: '45 1 * * *',
    from: '2026-04-04T13:00Z',
    to: '2026-04-05T13:30Z',
  },
  {
    timezone: 'America/Sao_Paulo',
    what: '2018-11-04, 00:00 becomes 01:00',
    expression: '0 0 * * *',
    from: '2018-11-04T02:59Z',
    to: '2018-11-05T01:59Z',
  },
  {
    timezone: 'America/Sao_Paulo',
    what: '2018-02-18, 00:00 becomes 23:00',
    expression: '30 23 * * *',
    from: '2018-02-17T12:00Z',
    to: '2018-02-18T12:00Z',
  },
  {
    timezone: 'Africa/Cairo',
    what: '2026-04-24, 00:00 becomes 01:00',
    expression: '0 0 * * *',
    from: '2026-04-23T21:59Z',
    to: '2026-04-24T20:59Z',
  },
  {
    timezone: 'Pacific/Apia',
    what: '2011-12-30 left out',
    expression: '0 9 * * *',
    from: '2011-12-29T12:00Z',
    to: '2011-12-31T10:00Z',
  },
  {
    timezone: 'Antarctica/Troll',
    what: '2026-03-29, 01:00 becomes 03:00',
    expression: '30 1,2 * * *',
    from: '2026-03-29T00:00Z',
    to: '2026-03-29T22:00Z',
  },
  {
    timezone: 'Antarctica/Troll',
    what: '2026-10-25, 03:00 becomes 01:00',
    expression: '30 1,2 * * *',
    from: '2026-10-24T22:00Z',
    to: '2026-10-26T00:00Z',
  },
  {
    timezone: 'Asia/Kathmandu',
    what: '1986-01-01, 00:00 becomes 00:15',
    expression: '10 0 * * *',
    from: '1985-12-31T18:29Z',
    to: '1986-01-01T18:15Z',
  },
];

const RULES: readonly DstRule[] = ['vixie', 'match', 'compatible', 'skipFirst'];

/** The table as docs/triggers.md has it. */
export function dstTable(): string[] {
  return [
    '| zone | the clock | expression | `vixie` | `match` | `compatible` | `skipFirst` |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...EXAMPLES.map(({ timezone, what, expression, from, to }) => {
      const cells = RULES.map((dst) => {
        const fires = new CronTrigger(expression, { timezone, dst })
          .between(from, to)
          .map((date) => localText(timezone, date.getTime()));
        return fires.length === 0 ? 'none' : fires.join(', ');
      });
      return `| ${timezone} | ${what} | \`${expression}\` | ${cells.join(' | ')} |`;
    }),
  ];
}

/** Local time, with the offset, which tells two passes apart. */
function localText(timezone: string, at: number): string {
  const zone = Zone.of(timezone);
  const [date = '', time = ''] = new Date(zone.toLocal(at)).toISOString().split('T');
  const offset = zone.offsetAt(at) / 60_000;
  const sign = offset < 0 ? '-' : '+';
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  // Apia's row spans days; elsewhere the date goes without saying.
  const day = timezone === 'Pacific/Apia' ? `${date.slice(5)} ` : '';
  return `${day}${time.slice(0, 5)} ${sign}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
}
