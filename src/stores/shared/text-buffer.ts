import { Buffer } from 'node:buffer';

/** Bytes to begin with, and kept for the next text. */
const KEPT = 4_096;
/** Texts up to this length are written character by character, which is quicker than a call of the runtime. */
const SHORT = 40;
/** A character comes to as many bytes at most. */
const WIDEST = 3;
const ZERO = 48;
const BLANK = 32;
/** A number is written as two of these, each of which is within the range in which whole numbers are quickest. */
const HALF = 1e8;
/** The digits of the numbers below 100. */
const TENS = Uint8Array.from({ length: 100 }, (_, number) => ZERO + Math.floor(number / 10));
const UNITS = Uint8Array.from({ length: 100 }, (_, number) => ZERO + (number % 10));

// eslint-disable-next-line @typescript-eslint/unbound-method -- always called with a text for `this`
const { charCodeAt } = String.prototype;

let bytes = Buffer.allocUnsafe(KEPT);
let length = 0;
/** The first digits of the last long number: instants of one day have the same. */
const latest = new Uint8Array(8);
let latestHigh = -1;
let latestDigits = 0;
/** Each character is one byte. */
let isNarrow = true;

/**
 * A text that is put together of many small pieces: into bytes, since strings would be a tree of pieces, to be made and then to
 * be walked along when somebody wants the text. There is one, so what is begun has to be ended first.
 */
export function beginText(): void {
  if (bytes.length > KEPT) bytes = Buffer.allocUnsafe(KEPT);
  length = 0;
  isNarrow = true;
}

/** How long it has become, in bytes. */
export function textLength(): number {
  return length;
}

/** One character of ASCII. */
export function putCode(code: number): void {
  if (length === bytes.length) grow(1);
  bytes[length] = code;
  length += 1;
}

export function putText(text: string): void {
  const size = text.length;
  if (length + size * WIDEST > bytes.length) grow(size * WIDEST);
  if (size <= SHORT) {
    let at = length;
    for (let i = 0; i < size; i++) {
      const code = codeAt(text, i);
      if (code > 0x7f) break;
      bytes[at] = code;
      at += 1;
    }
    if (at - length === size) {
      length = at;
      return;
    }
  }
  const written = bytes.write(text, length, 'utf8');
  if (written !== size) isNarrow = false;
  length += written;
}

/**
 * The code of one character. Where texts of several makes have passed (read, put together, cut out), V8 looks the method up for
 * each character, and calls it, unless it is named like this.
 */
export function codeAt(text: string, at: number): number {
  return charCodeAt.call(text, at);
}

/** As JSON has it. */
export function putNumber(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    putText(JSON.stringify(value));
    return;
  }
  if (length + 16 > bytes.length) grow(16);
  if (value < HALF) {
    putDigits(value, digitsIn(value));
    return;
  }
  const high = Math.floor(value / HALF);
  if (high === latestHigh) {
    for (let i = 0; i < latestDigits; i++) bytes[length + i] = latest[i]!;
    length += latestDigits;
  } else {
    const from = length;
    latestHigh = high;
    latestDigits = digitsIn(high);
    putDigits(high, latestDigits);
    for (let i = 0; i < latestDigits; i++) latest[i] = bytes[from + i]!;
  }
  putDigits(value - high * HALF, 8);
}

function digitsIn(value: number): number {
  let digits = 1;
  for (let limit = 10; limit <= value; limit *= 10) digits += 1;
  return digits;
}

/** Two digits a step: of times, which have thirteen, there are many. */
function putDigits(value: number, digits: number): void {
  let rest = value | 0;
  let left = digits;
  length += digits;
  for (let at = length; left > 1; left -= 2) {
    const hundredth = (rest / 100) | 0;
    const two = rest - hundredth * 100;
    bytes[(at -= 1)] = UNITS[two]!;
    bytes[(at -= 1)] = TENS[two]!;
    rest = hundredth;
  }
  if (left === 1) bytes[length - digits] = ZERO + rest;
}

export function putBlanks(count: number): void {
  if (length + count > bytes.length) grow(count);
  bytes.fill(BLANK, length, length + count);
  length += count;
}

/** The text. */
export function endText(): string {
  return bytes.toString(isNarrow ? 'latin1' : 'utf8', 0, length);
}

/** The bytes of it, which are no longer this module's. */
export function endBytes(): Buffer {
  const taken = bytes.subarray(0, length);
  bytes = Buffer.allocUnsafe(KEPT);
  length = 0;
  return taken;
}

/** Takes back what was written beyond so many bytes. */
export function cutText(to: number): void {
  length = to;
}

/** Whether what was written from a place on is the same as what lies between two others. */
export function isRepeated(start: number, from: number, to: number): boolean {
  if (length - start !== to - from) return false;
  for (let i = start; i < length; i++) if (bytes[i] !== bytes[from + i - start]) return false;
  return true;
}

function grow(more: number): void {
  const larger = Buffer.allocUnsafe((length + more) * 2);
  bytes.copy(larger, 0, 0, length);
  bytes = larger;
}
