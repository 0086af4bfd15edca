import { describe, expect, test } from 'vitest';
import { CronTrigger } from '../../src/triggers/cron/cron-trigger.js';
import type { DstRule } from '../../src/triggers/wall-clock/engine.js';
import { InvalidCronError } from '../../src/triggers/cron/invalid-cron-error.js';
import { fireTimes, fireTimesBefore, loadVectors } from './support/vectors.js';

interface ClassicCase {
  readonly id: string;
  readonly cat: string;
  readonly expr: string;
  readonly tz: string;
  readonly start: string;
  readonly next: readonly string[];
}

const classic = loadVectors<ClassicCase>('cron-classic.jsonl');

describe.each([...new Set(classic.map(({ cat }) => cat))])('classic expressions: %s', (cat) => {
  const cases = classic.filter((vector) => vector.cat === cat);

  test(`${cases.length} cases forwards`, () => {
    for (const { id, expr, tz, start, next } of cases) {
      expect(
        fireTimes(new CronTrigger(expr, { timezone: tz }), Date.parse(start), next.length),
        `${id} ${expr}`,
      ).toEqual(next);
    }
  });

  test(`${cases.length} cases backwards`, () => {
    for (const { id, expr, tz, next } of cases) {
      const end = Date.parse(next.at(-1) ?? '') + 1;
      expect(fireTimesBefore(new CronTrigger(expr, { timezone: tz }), end, next.length), `${id} ${expr}`).toEqual(next);
    }
  });
});

interface DstCase {
  readonly id: string;
  readonly what: string;
  readonly expr: string;
  readonly tz: string;
  readonly start: string;
  readonly policy: { readonly vixie: readonly string[] } & Readonly<
    Partial<Record<'match' | 'compat' | 'skipfirst', readonly string[]>>
  >;
}

const RULES = [
  ['vixie', 'vixie'],
  ['match', 'match'],
  ['compatible', 'compat'],
  ['skipFirst', 'skipfirst'],
] as const satisfies readonly (readonly [DstRule, keyof DstCase['policy']])[];

describe.each(RULES)('daylight saving: %s', (dst, column) => {
  const cases = loadVectors<DstCase>('cron-dst.jsonl');

  test(`${cases.length} cases forwards`, () => {
    for (const { id, what, expr, tz, start, policy } of cases) {
      const expected = policy[column] ?? policy.vixie;
      const found = fireTimes(new CronTrigger(expr, { timezone: tz, dst }), Date.parse(start), expected.length);
      expect(found, `${id} ${expr} ${tz}: ${what}`).toEqual(expected);
    }
  });

  test(`${cases.length} cases backwards`, () => {
    for (const { id, what, expr, tz, policy } of cases) {
      const expected = policy[column] ?? policy.vixie;
      const end = Date.parse(expected.at(-1) ?? '') + 1;
      const found = fireTimesBefore(new CronTrigger(expr, { timezone: tz, dst }), end, expected.length);
      expect(found, `${id} ${expr} ${tz}: ${what}`).toEqual(expected);
    }
  });
});

interface RealWorldCase {
  readonly id: string;
  readonly expr: string;
  readonly start: string;
  readonly next_utc: readonly string[];
  readonly next_new_york: readonly string[];
}

test('expressions from public repositories', () => {
  const cases = loadVectors<RealWorldCase>('realworld.jsonl');
  expect(cases).toHaveLength(173);
  for (const { id, expr, start, next_utc, next_new_york } of cases) {
    expect(fireTimes(new CronTrigger(expr, { timezone: 'UTC' }), Date.parse(start), 5), `${id} ${expr}`).toEqual(
      next_utc,
    );
    expect(
      fireTimes(new CronTrigger(expr, { timezone: 'America/New_York' }), Date.parse(start), 5),
      `${id} ${expr}`,
    ).toEqual(next_new_york);
  }
});

interface InvalidCase {
  readonly id: string;
  readonly must: 'reject' | 'policy' | 'fast';
  readonly expr: string;
  readonly accepts?: Readonly<Record<string, string>>;
}

const invalid = loadVectors<InvalidCase>('cron-invalid.jsonl');

/** What is decided where engines differ: the first fire after 2025-06-10T12:00Z, `null` for never, or refused. */
const POLICY: Readonly<Record<string, string | null>> = {
  'ci-274': null,
  'ci-275': null,
  'ci-277': null,
  'ci-278': null,
  'ci-280': null,
  'ci-281': null,
  'ci-284': '2044-02-29T00:00:00Z',
  'ci-286': '2025-06-10T22:00:00Z',
  'ci-287': '2025-06-25T00:00:00Z',
  'ci-289': '2025-06-13T00:00:00Z',
  'ci-290': '2025-06-13T00:00:00Z',
  'ci-292': '2025-06-14T00:00:00Z',
  'ci-296': 'refused: step',
  'ci-297': 'refused: step',
  'ci-298': 'refused: step',
  'ci-302': 'refused: step',
  'ci-308': '2025-09-01T00:00:00Z',
  'ci-309': 'refused: is not a value',
  'ci-310': '2025-06-27T00:00:00Z',
  'ci-311': 'refused: L alone has no meaning',
  'ci-312': '2025-06-30T00:00:00Z',
  'ci-313': '2025-06-30T00:00:00Z',
  'ci-314': '2025-06-27T00:00:00Z',
  'ci-315': '2025-06-18T00:00:00Z',
  'ci-318': 'refused: is not a value',
  'ci-322': 'refused: L- needs',
  'ci-323': 'refused: L- needs',
  'ci-325': '2025-06-10T12:01:00Z',
  'ci-332': 'refused: is no nickname',
  'ci-334': '2025-06-10T13:00:00Z',
  'ci-337': 'needs a seed',
  'ci-341': 'refused: is not a value',
  'ci-342': 'refused: is not a name',
  'ci-343': '2025-06-11T00:00:00Z',
  'ci-344': '2025-06-10T15:00:00Z',
  'ci-348': 'refused: is not a name',
  'ci-351': 'refused: is not a name',
  'ci-352': 'refused: is not a name',
  'ci-353': '2025-06-11T00:00:00Z',
  'ci-355': '2025-06-11T00:00:00Z',
  'ci-357': '2025-06-15T00:00:00Z',
  'ci-358': '2025-06-16T00:00:00Z',
  'ci-362': '2025-06-11T00:00:00Z',
  'ci-363': '2025-06-10T12:02:00Z',
  'ci-366': '2025-06-11T00:00:00Z',
  'ci-368': 'refused: is not a value',
  'ci-369': 'refused: is not a value',
  'ci-370': 'refused: it has 1 field',
  'ci-371': 'refused: is not a value',
  'ci-372': '2025-06-11T00:00:00Z',
  'ci-373': '2025-06-11T00:00:00Z',
  'ci-374': 'refused: A year goes into the object form',
  'ci-376': 'refused: A year goes into the object form',
  'ci-378': 'refused: A year goes into the object form',
};

describe('invalid expressions', () => {
  const after = Date.parse('2025-06-10T12:00:00Z');
  const make = (expr: string): CronTrigger => new CronTrigger(expr, expr.includes('TZ=') ? {} : { timezone: 'UTC' });

  test.each(invalid.filter(({ must }) => must === 'reject').map(({ id, expr }) => [id, expr] as const))(
    '%s is refused: %j',
    (_id, expr) => {
      const error = catchError(() => make(expr));
      expect(error).toBeInstanceOf(InvalidCronError);
      const { position, allowed, value } = error as InvalidCronError;
      expect(allowed).not.toBe('');
      expect(position).toBeGreaterThanOrEqual(0);
      if (expr.length <= 1024) expect(expr.slice(position)).toSatisfy((rest: string) => rest.startsWith(String(value)));
    },
  );

  test('every case on which engines differ is decided', () => {
    expect(Object.keys(POLICY)).toEqual(invalid.filter(({ must }) => must === 'policy').map(({ id }) => id));
  });

  test.each(invalid.filter(({ must }) => must === 'policy').map(({ id, expr }) => [id, expr] as const))(
    '%s: %j',
    (id, expr) => {
      const decided = POLICY[id] ?? null;
      if (decided === 'needs a seed') {
        expect(() => make(expr).next(after)).toThrow('pass { seed }');
        expect(new CronTrigger(expr, { timezone: 'UTC', seed: 'a job' }).next(after)).toBeGreaterThan(after);
      } else if (decided?.startsWith('refused: ')) {
        expect(catchError(() => make(expr))).toBeInstanceOf(InvalidCronError);
        expect(() => make(expr)).toThrow(decided.slice('refused: '.length));
      } else expect(fireTimes(make(expr), after, 1)).toEqual(decided === null ? [] : [decided]);
    },
  );

  test('a wrong range of H is told which it may have', () => {
    expect(catchError(() => make('H(5-1) * * * *'))).toMatchObject({ value: 'H(5-1)', allowed: 'H(0-59)' });
  });

  test('none takes long, however long it is', () => {
    const hostile = [
      ...invalid.map(({ expr }) => expr),
      '*'.repeat(1e6),
      '1,'.repeat(1e6),
      ' '.repeat(1e6),
      '0 '.repeat(1e6),
      `0 0 * * ${'5L,'.repeat(300)}`,
    ];
    for (const expr of hostile) {
      const start = performance.now();
      catchError(() => make(expr).next(after));
      // A few milliseconds. A pattern that tries every way to divide a text would take years.
      expect(performance.now() - start, `${expr.slice(0, 40)} (${expr.length} characters)`).toBeLessThan(5_000);
    }
  });
});

function catchError(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
