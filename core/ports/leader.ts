/** One turn at something that only one instance of the deployment does at a time: a gateway connection, for instance. */
export type Term = {
  /**
   * Fires while nobody else can have begun yet (at least a second before the lease runs out), and when the caller's own
   * signal does: stop hearing then, and let `run` resolve.
   */
  readonly held: AbortSignal;
  /** What the term before left with `keep`, by whichever instance: enough to resume a session from. */
  readonly note: string | null;
  /** Replaces the note; at most 4,000 characters. False when the term is over: somebody else may have begun. */
  keep(note: string): Promise<boolean>;
};

/**
 * Competes for `name` with every other instance, for as long as `signal` does not fire; runs `run` for each term that this
 * instance wins. A `run` that ends by itself gives the term away and competes again after a pause. A killed holder is
 * followed within 15 seconds, one that stopped within 3. Resolves after the last term has ended; never rejects.
 */
export type Lead = (name: string, run: (term: Term) => Promise<void>, signal: AbortSignal) => Promise<void>;
