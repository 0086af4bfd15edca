import { BrokerError } from '../../errors/executor-errors.js';

/** The error of a driver that could not be loaded. */
export function driverError(broker: string, name: string, error: unknown): BrokerError {
  const isMissing = error instanceof Error && String((error as NodeJS.ErrnoException).code).includes('MODULE_NOT_FOUND');
  const problem = isMissing ? 'is not installed' : `cannot be loaded: ${error instanceof Error ? error.message : String(error)}`;
  return new BrokerError('no-driver', `${broker} needs the package ${name}, which ${problem}. Install it: npm install ${name}`, { cause: error });
}
