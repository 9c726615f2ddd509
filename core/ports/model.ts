/** Models. Limits are data; batching, retries, breaker and rate limits live above the port, the wire in the driver. */

export type ChatMessage = { readonly role: 'system' | 'user' | 'assistant'; readonly content: string };

export type ChatRequest = {
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  readonly temperature?: number;
  /** `small` uses the smaller model when one is configured (condensing and other light work). */
  readonly size?: 'main' | 'small';
  /** One of `others`, in the place of both. */
  readonly model?: string;
  /** For fairness between tenants in the queue before the provider's limits. */
  readonly tenantId: string;
};

/** A streamed answer is a list of deltas closed by exactly one `end`; a stream that stops without `end` is a failure. */
export type ChatEvent =
  | { readonly type: 'delta'; readonly text: string }
  | {
      readonly type: 'end';
      readonly finish: 'stop' | 'length' | 'filter';
      readonly model: string;
      /** Counted by us when the endpoint sends no usage; then `estimated`. */
      readonly usage: { readonly promptTokens: number; readonly completionTokens: number; readonly estimated: boolean };
    };

export type ChatModel = {
  readonly name: string;
  /** Further models of the same endpoint that may be asked for by name. */
  readonly others?: readonly string[];
  /** Throws AppError `model-failed`, `model-timeout`, `rate-limited` (with retryAfterMs) or `cancelled`. */
  stream(request: ChatRequest, options: { readonly signal: AbortSignal }): AsyncIterable<ChatEvent>;
};

export type Embeddings = { readonly vectors: readonly Float32Array[]; readonly tokens: number; readonly model: string };

export type Embedder = {
  readonly name: string;
  /** Unit-length vectors in the order of `texts`. Splits into batches by itself. */
  embed(
    texts: readonly string[],
    kind: 'query' | 'document',
    options: { readonly signal: AbortSignal; readonly tenantId: string },
  ): Promise<Embeddings>;
};
