import { inspectValue, isPromise, PunctualError } from './base.js';

/** An option has a value it cannot have. Nothing was changed. */
export class InvalidOptionError extends PunctualError {
  /** Path of the option, such as `retry.maxAttempts`. */
  readonly option: string;
  readonly value: unknown;
  /** What would have been accepted, in words. */
  readonly allowed: string;

  /** @param message - in place of the usual one, which finds fault with the value. */
  constructor(option: string, value: unknown, allowed: string, hint?: string, message?: string) {
    super(
      'INVALID_OPTION',
      `${message ?? `Invalid value for \`${option}\`: expected ${allowed}, got ${inspectValue(value)}.${isPromise(value) ? ' Await it: what it resolves to may be meant.' : ''}`}${hint === undefined ? '' : ` ${hint}`}`,
    );
    this.option = option;
    this.value = value;
    this.allowed = allowed;
  }
}

/** A trigger cannot be made from what was given (a bad cron expression, an empty combination, …). */
export class InvalidTriggerError extends PunctualError {
  /** The expression or field at fault. */
  readonly value: unknown;

  constructor(message: string, value: unknown, options?: ErrorOptions) {
    super('INVALID_TRIGGER', message, options);
    this.value = value;
  }
}

/** Not an IANA time zone name known to this runtime. */
export class UnknownTimeZoneError extends PunctualError {
  readonly timezone: unknown;

  constructor(timezone: unknown) {
    super(
      'UNKNOWN_TIMEZONE',
      `Unknown time zone ${inspectValue(timezone)}: expected an IANA name such as "Europe/Berlin" or "UTC". ` +
        `Intl.supportedValuesOf('timeZone') lists what this runtime knows.`,
    );
    this.timezone = timezone;
  }
}

/** A stored trigger of a kind (or version) this process cannot read. */
export class UnknownTriggerError extends PunctualError {
  readonly kind: unknown;

  constructor(kind: unknown, message: string) {
    super('UNKNOWN_TRIGGER', message);
    this.kind = kind;
  }
}
