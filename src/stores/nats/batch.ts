/** Answers to several questions, which come one by one and are wanted together: one promise in place of one for each. */
export class Batch<T> {
  readonly all: Promise<T[]>;
  readonly #answers: T[];
  #left: number;
  #resolve: (answers: T[]) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(size: number) {
    this.#answers = new Array<T>(size);
    this.#left = size;
    this.all = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (size === 0) this.#resolve([]);
  }

  /** Each is to be set once. */
  set(index: number, answer: T): void {
    this.#answers[index] = answer;
    this.#left -= 1;
    if (this.#left === 0) this.#resolve(this.#answers);
  }

  /** The first error is that of all. */
  fail(error: unknown): void {
    this.#reject(error);
  }
}
