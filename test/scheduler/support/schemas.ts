import type { StandardSchemaIssue, StandardSchemaResult, StandardSchemaV1 } from 'punctual';

type Check<O> = (args: readonly unknown[], issue: (message: string, ...path: PropertyKey[]) => void) => O;

/** A schema as a library would make it: `check` says what is wrong, and answers what becomes of the arguments. */
export function schema<I extends readonly unknown[], O extends readonly unknown[] = I>(check: Check<O>): StandardSchemaV1<I, O> {
  return { '~standard': { version: 1, vendor: 'test', validate: (value) => run(check, value) } };
}

/** The same, which answers when `pause` lets it. */
export function asyncSchema<I extends readonly unknown[], O extends readonly unknown[] = I>(
  pause: () => Promise<unknown>,
  check: Check<O>,
): StandardSchemaV1<I, O> {
  const validate = async (value: unknown): Promise<StandardSchemaResult<O>> => {
    await pause();
    return run(check, value);
  };
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

function run<O>(check: Check<O>, value: unknown): StandardSchemaResult<O> {
  const issues: StandardSchemaIssue[] = [];
  const output = check(value as readonly unknown[], (message, ...path) => {
    // Both forms a path may have.
    issues.push({ message, path: path.map((key, depth) => (depth === 0 ? key : { key })) });
  });
  return issues.length > 0 ? { issues } : { value: output };
}

/** An address, and how many times, once unless it is said. */
export const mail = schema<[to: string, times?: number], [to: string, times: number]>(([to, times = 1], issue) => {
  if (typeof to !== 'string') issue('expected string', 0);
  else if (!to.includes('@')) issue('expected an address', 0);
  if (typeof times !== 'number') issue('expected number', 1);
  return [to as string, times as number];
});
