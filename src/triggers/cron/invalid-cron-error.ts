import { inspectValue } from '../../errors/base.js';
import { InvalidTriggerError } from '../../errors/errors.js';
import type { CronFieldName } from './fields.js';

/** What {@link InvalidCronError} knows about a fault. */
export interface CronFault {
  /** The field at fault, unless the expression as a whole is. */
  readonly field?: CronFieldName | undefined;
  /** The piece of text at fault. */
  readonly value: string;
  /** What would have been accepted, in words. */
  readonly allowed: string;
  /** Offset of `value` in the expression (in its field, for the object form). */
  readonly position: number;
  /** What is wrong, and what to write instead. */
  readonly reason: string;
}

/** Longest piece of an expression that a message repeats. */
const MAX_SHOWN = 60;

/**
 * A cron expression is wrong. The message names the field, the value and what is allowed, and points at the place:
 *
 * ```text
 * Invalid cron expression: hour 25 is out of range, expected 0-23.
 *   0 25 * * *
 *     ^^
 * ```
 */
export class InvalidCronError extends InvalidTriggerError {
  /** The expression as it was given; a field of the object form alone. */
  readonly expression: string;
  readonly field: CronFieldName | undefined;
  readonly allowed: string;
  /** Offset of the fault in `expression`, counted in UTF-16 units from 0. */
  readonly position: number;

  constructor(expression: string, fault: CronFault, options?: ErrorOptions) {
    super(`Invalid cron expression: ${fault.reason}\n${pointAt(expression, fault)}`, fault.value, options);
    this.expression = expression;
    this.field = fault.field;
    this.allowed = fault.allowed;
    this.position = fault.position;
  }
}

/** The expression with a line of carets under the fault, cut to a window around it. */
function pointAt(expression: string, { position, value }: CronFault): string {
  const from = Math.max(0, Math.min(position - 20, expression.length - MAX_SHOWN));
  // Control characters would move the carets, or worse.
  const shown = printable(expression.slice(from, from + MAX_SHOWN));
  const width = Math.max(1, Math.min(value.length, from + MAX_SHOWN - position));
  return `  ${shown}\n  ${' '.repeat(position - from)}${'^'.repeat(width)}`;
}

/** Text for a message: one printable character for each. */
export function printable(text: string): string {
  let shown = '';
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    shown +=
      code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029 ? '\u00b7' : (text[i] ?? '');
  }
  return shown;
}

/** How a faulty piece looks inside a sentence. */
export function quote(text: string): string {
  return inspectValue(printable(text));
}
