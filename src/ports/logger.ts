/**
 * Where the scheduler writes what an operator should see. `console` fits as it is.
 * Loggers that take the fields first (pino) are recognised; see `SchedulerOptions.logger`.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;
