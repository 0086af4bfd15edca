import type { JobDefinition, JobRecord } from '../../model/job.js';
import type { JobCodec, JsonObject } from '../../ports/job-codec.js';
import { parseJson, parseObject } from '../../serializers/parse-object.js';
import { hasImmutableValues } from '../shared/shared-definitions.js';
import { aboutText } from './job-form.js';

const MOST_SIMILAR = 500;

/** What the definition begins with, and what comes after it. */
const HEAD = '{"v":1,"definition":';
const MIDDLE = ',"state":';

/** A definition as it is stored, and its part of the headers. */
export interface DefinitionText {
  readonly definition: string;
  readonly about: string;
}

export interface ReadRecord {
  readonly record: JobRecord;
  /** The definition as it is stored. */
  readonly definition: string;
}

/** Records as text, and back. Definitions are neither written nor parsed anew where they are known. */
export class RecordTexts {
  readonly #codec: JobCodec;
  /** Definitions as text: they change less often than they are written. */
  readonly #texts = new WeakMap<JobDefinition, DefinitionText>();
  /** Of those that are indexed alike, the definition that was read last: jobs that were added together often differ in nothing but the id. */
  readonly #similar = new Map<string, { readonly text: string; readonly definition: JobDefinition }>();
  /** The text of definitions that could not be read: they are written back as they were found. */
  readonly #unreadable = new WeakMap<JsonObject, string>();

  constructor(codec: JobCodec) {
    this.#codec = codec;
  }

  isUnreadable({ definition }: JobRecord): boolean {
    return this.#codec.isUnreadable(definition);
  }

  /** The state, after a look at whether the definition can be written, too. @throws PunctualError when one cannot. */
  state(record: JobRecord): string {
    this.definition(record);
    return JSON.stringify(this.#codec.encodeState(record));
  }

  definition(record: JobRecord): DefinitionText {
    const known = this.#texts.get(record.definition);
    if (known !== undefined) return known;
    const encoded = this.#codec.encodeDefinition(record);
    const texts = { definition: this.#unreadable.get(encoded) ?? JSON.stringify(encoded), about: aboutText(record) };
    if (isFrozen(record.definition)) this.#texts.set(record.definition, texts);
    return texts;
  }

  /** @param rest - what follows the state: members of the whole, each after a comma. */
  body(definition: string, state: string, rest: string): string {
    return `${HEAD}${definition}${MIDDLE}${state}${rest}}`;
  }

  /** @param known - what this node has read or written of it before. */
  read(id: string, body: string, about: string | undefined, known: ReadRecord | undefined): ReadRecord {
    const own = known && this.#combine(id, body, known.definition, known.record.definition);
    if (own !== undefined) return own;
    const similar = this.#similar.get(about ?? '');
    const same = similar && this.#combine(id, body, similar.text, similar.definition);
    if (same !== undefined) return same;
    const whole = parseObject(body);
    const json = objectOf(whole['definition'], body);
    const record = this.#codec.decode({ id, definition: json, state: objectOf(whole['state'], body) });
    const definition = JSON.stringify(json);
    // The codec knows a record it could not read by its definition, which must then not be combined with another state.
    if (this.isUnreadable(record)) this.#unreadable.set(this.#codec.encodeDefinition(record), definition);
    else {
      this.#texts.set(record.definition, { definition, about: about ?? aboutText(record) });
      if (isShareable(record.definition)) this.#share(about ?? '', definition, record.definition);
    }
    return { record, definition };
  }

  /** The record of a body that begins with a definition that has been read. `undefined` where it does not, or its state cannot be read. */
  #combine(id: string, body: string, text: string, definition: JobDefinition): ReadRecord | undefined {
    if (!body.startsWith(MIDDLE, HEAD.length + text.length) || !body.startsWith(text, HEAD.length)) return undefined;
    const { state } = parseObject(`{"v":1${body.slice(HEAD.length + text.length)}`);
    const record = this.#codec.decode({ id, definition: { v: versionOf(text) }, state: objectOf(state, body) }, definition);
    return record.definition === definition ? { record, definition: text } : undefined;
  }

  #share(about: string, text: string, definition: JobDefinition): void {
    if (this.#similar.size >= MOST_SIMILAR) this.#similar.clear();
    this.#similar.set(about, { text, definition });
  }
}

function versionOf(definition: string): unknown {
  const [, version] = /^\{"v":(\d+)[,}]/.exec(definition) ?? [];
  return version === undefined ? (parseJson(definition) as { v?: unknown } | undefined)?.v : Number(version);
}

function objectOf(value: unknown, body: string): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : { unreadable: body };
}

/** A tombstone is none. */
export function isRecord(body: string): boolean {
  return body.startsWith(HEAD);
}

/** Whether several records may have it: nobody can change any of it. */
function isShareable(definition: JobDefinition): boolean {
  if (!hasImmutableValues(definition) || definition.trigger.unreadable !== undefined) return false;
  Object.freeze(definition.tags);
  return true;
}

/** What a caller may still change must not be shown to others later: arguments it holds on to. */
export function isImmutable({ definition, state }: JobRecord): boolean {
  return isFrozen(definition) && state.runs.every(({ args }) => args === null || areFrozen(args));
}

function isFrozen({ args, metadata }: JobDefinition): boolean {
  return areFrozen(args) && (metadata === null || Object.isFrozen(metadata));
}

/** Read by the codec, which freezes all of it; or nothing that can be changed. */
function areFrozen(args: readonly unknown[]): boolean {
  return Object.isFrozen(args) || args.every((value) => value === null || typeof value !== 'object');
}
