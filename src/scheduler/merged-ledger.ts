import { InvalidOptionError } from '../errors/errors.js';
import type { LedgerEntry, LedgerQuery } from '../model/ledger.js';
import type { LedgerPage, LedgerPageRequest } from '../ports/job-store.js';
import type { StoreLoop } from './store-loop.js';

type Query = LedgerQuery & LedgerPageRequest;

/** Where the next page of one history begins: `''` at its beginning, `null` past its end. */
type Place = string | null;

/** What a cursor over several histories begins with. Those of stores do not. */
const SEVERAL = 'several:';

/** One page of several histories, in the order in which the verdicts fell. */
export async function listLedgers(loops: readonly StoreLoop[], query: Query): Promise<LedgerPage> {
  const places = placesOf(query.after, loops.length);
  if (loops.length === 1) return listFrom(loops[0]!, query, places[0]!, query.limit);
  const pages = await Promise.all(loops.map((loop, i) => listFrom(loop, query, places[i]!, query.limit)));
  const counts = takeFirst(pages.map(({ entries }) => entries), query);
  // A cursor is where a page ends, so one of which only a part fits is asked for again with so many lines.
  const parts = await Promise.all(pages.map(async (page, i) => (counts[i] === page.entries.length ? page : listFrom(loops[i]!, query, places[i]!, counts[i]!))));
  const next = parts.map((part, i): Place => (counts[i] === 0 && part.entries.length === 0 && pages[i]!.entries.length > 0 ? places[i]! : part.nextCursor));
  const entries = merge(parts.map((part) => part.entries), query);
  return { entries, nextCursor: next.every((place) => place === null) ? null : SEVERAL + JSON.stringify(next) };
}

/** @throws InvalidOptionError */
function placesOf(cursor: string | undefined, count: number): readonly Place[] {
  const rest = (first: Place): Place[] => Array.from({ length: count }, (_, i) => (i === 0 ? first : ''));
  // The page before was of one history: this node ran no such job then.
  if (cursor?.startsWith(SEVERAL) !== true) return rest(cursor ?? '');
  try {
    const places: unknown = JSON.parse(cursor.slice(SEVERAL.length));
    if (Array.isArray(places) && places.length > 0 && places.every((place) => place === null || typeof place === 'string')) {
      return rest('').map((place, i) => (i < places.length ? (places[i] as Place) : place));
    }
  } catch {
    // told of below
  }
  throw new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}

async function listFrom({ access }: StoreLoop, query: Query, place: Place, limit: number): Promise<LedgerPage> {
  if (place === null || limit === 0) return { entries: [], nextCursor: null };
  return access.listLedger({ ...query, limit, after: place === '' ? undefined : place });
}

/** How many lines of each of these the page has. */
function takeFirst(lists: readonly (readonly LedgerEntry[])[], query: Query): readonly number[] {
  const counts = lists.map(() => 0);
  for (let taken = 0; taken < query.limit; taken++) {
    const from = firstOf(lists, counts, query);
    if (from === undefined) break;
    counts[from]! += 1;
  }
  return counts;
}

function merge(lists: readonly (readonly LedgerEntry[])[], query: Query): readonly LedgerEntry[] {
  const merged: LedgerEntry[] = [];
  const places = lists.map(() => 0);
  for (let from = firstOf(lists, places, query); from !== undefined; from = firstOf(lists, places, query)) {
    merged.push(lists[from]![places[from]!]!);
    places[from]! += 1;
  }
  return merged;
}

/** Which list has the next line. */
function firstOf(lists: readonly (readonly LedgerEntry[])[], places: readonly number[], { newestFirst = false }: Query): number | undefined {
  let first: number | undefined;
  let firstAt = 0;
  lists.forEach((list, i) => {
    const at = list[places[i]!]?.at;
    if (at === undefined || (first !== undefined && (newestFirst ? at <= firstAt : at >= firstAt))) return;
    first = i;
    firstAt = at;
  });
  return first;
}
