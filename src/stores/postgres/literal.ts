type Scalar = string | number | boolean | null | undefined;

/**
 * A value as a literal of SQL, of the type that its place asks for. Quoted so that it means the same whatever
 * `standard_conforming_strings` says.
 *
 * PostgreSQL, "String Constants with C-Style Escapes" and "Dollar-Quoted String Constants":
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
function literal(value: Scalar | readonly Scalar[]): string {
  if (value === null || value === undefined) return 'NULL';
  const text = typeof value === 'object' ? `{${elements(value)}}` : String(value);
  // What has many of them, as JSON in JSON does, is quoted by a word that is not in it.
  if (text.includes('\\') && !text.includes('$q') && !text.includes('\0')) return ` $q$${text}$q$`;
  // It knows no character 0, and a statement would end there.
  const escaped = text.replace(/['\\\0]/g, (char) => (char === '\0' ? '\ufffd' : char + char));
  return escaped.includes('\\') ? ` E'${escaped}'` : `'${escaped}'`;
}

/** Most arrays are of numbers, a hundred or so at a time, several times a batch. */
function elements(values: readonly Scalar[]): string {
  return values.every((value) => typeof value === 'number') ? values.join(',') : values.map(element).join(',');
}

/** An element of an array, as its input syntax has it. */
function element(value: Scalar): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value !== 'string') return String(value);
  return value.includes('"') || value.includes('\\') ? `"${value.replace(/["\\]/g, '\\$&')}"` : `"${value}"`;
}

/** The statement with its parameters written out. */
export function inline(text: string, values: readonly unknown[]): string {
  return values.length === 0 ? text : text.replace(/\$(\d+)/g, (_, place: string) => literal(values[Number(place) - 1] as Scalar | readonly Scalar[]));
}
