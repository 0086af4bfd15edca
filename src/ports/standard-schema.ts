/**
 * What schema libraries have in common (Standard Schema 1.0, https://standardschema.dev): Zod, Valibot, ArkType and others
 * implement it, so a schema made with any of them can be given as it is, and punctual depends on none of them.
 *
 * @typeParam Input - what it takes.
 * @typeParam Output - what it makes of that.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': StandardSchemaProps<Input, Output>;
}

/** What a {@link StandardSchemaV1} has to say. */
export interface StandardSchemaProps<Input = unknown, Output = Input> {
  readonly version: 1;
  /** Name of the library. */
  readonly vendor: string;
  /** Checks a value. Answers a promise where the schema has to wait for something. */
  readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>;
  /** Only there for its types. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** The value a schema made of what it was given, or what is wrong with that. */
export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] };

/** One thing that is wrong with a value. */
export interface StandardSchemaIssue {
  readonly message: string;
  /** Where: keys from the outside in. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
