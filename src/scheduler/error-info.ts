import type { ErrorInfo } from '../model/run.js';

/** What was thrown, as plain data. Never throws, whatever was thrown. */
export function toErrorInfo(error: unknown): ErrorInfo {
  try {
    if (error instanceof Error || isErrorLike(error)) {
      const { name, message, stack }: { name: unknown; message: unknown; stack?: unknown } = error;
      const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? String(error.code) : null;
      return { name: String(name), message: String(message), code, stack: typeof stack === 'string' ? stack : null };
    }
    return { name: 'NonError', message: String(error), code: null, stack: null };
  } catch {
    return { name: 'Unreadable', message: 'what was thrown could not be read', code: null, stack: null };
  }
}

/** Errors of other realms (worker threads, vm contexts, test runners) fail `instanceof`. */
function isErrorLike(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'message' in value && 'name' in value;
}
