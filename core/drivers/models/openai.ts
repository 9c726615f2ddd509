import OpenAI, { APIError } from 'openai';
import { AppError } from '../../errors.ts';
import type { ChatEvent, ChatModel, ChatRequest, Embedder, Embeddings } from '../../ports/model.ts';
import type { Runtime } from '../../ports/runtime.ts';
import { countTokens } from '../../text/tokens.ts';
import {
  type Breaker,
  type CallLimits,
  createBreaker,
  defaultLimits,
  pauseBefore,
  startWatch,
  toModelError,
  type Watch,
  withBodyLimit,
} from './calling.ts';
import { createLimiter, type Limiter, type LimiterOptions } from './limiter.ts';

/** Any OpenAI-compatible endpoint: the vendor's, a gateway, Ollama, vLLM, llama.cpp. */

export type EndpointOptions = {
  /** Absent: the vendor's. */
  readonly baseUrl?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly model: string;
  readonly rpm?: number | undefined;
  readonly tpm?: number | undefined;
  readonly fetch?: typeof globalThis.fetch;
  readonly runtime: Runtime;
  readonly limits?: Partial<CallLimits>;
  readonly queue?: Pick<LimiterOptions, 'maxWaiting' | 'maxWaitingPerTenant' | 'maxWaitMs'>;
};

const vendor = 'https://api.openai.com/v1';
const embeddingBatch = { texts: 96, characters: 200_000 };
const embeddingBodyLimit = 64 * 1024 * 1024;

type Endpoint = {
  readonly client: OpenAI;
  readonly breaker: Breaker;
  readonly limiter: Limiter;
  readonly limits: CallLimits;
};

const connect = (options: EndpointOptions, maxBytes: number): Endpoint => {
  const baseURL = options.baseUrl ?? vendor;
  const limits = { ...defaultLimits, ...options.limits };
  const { runtime } = options;
  return {
    limits,
    breaker: createBreaker(new URL(baseURL).host, runtime, limits),
    limiter: createLimiter(runtime, { requestsPerMinute: options.rpm, tokensPerMinute: options.tpm, ...options.queue }),
    client: new OpenAI({
      baseURL,
      // Local servers want no key, the client wants one. Everything it would read from the environment is set here.
      apiKey: options.apiKey ?? 'none',
      organization: null,
      project: null,
      adminAPIKey: null,
      webhookSecret: null,
      logLevel: 'off',
      maxRetries: 0,
      timeout: limits.totalMs,
      fetch: withBodyLimit(options.fetch ?? globalThis.fetch, maxBytes),
    }),
  };
};

/**
 * Runs tries until one succeeds, nothing more can help, or time is up. `run` tells whether something has already been
 * handed on: after that there is no second try.
 */
async function* tries<T>(
  endpoint: Endpoint,
  runtime: Runtime,
  call: { readonly model: string; readonly tenantId: string; readonly tokens: number; readonly signal: AbortSignal },
  run: (watch: Watch) => AsyncGenerator<T, number>,
): AsyncGenerator<T, void> {
  const { clock, metrics, log, random } = runtime;
  const until = clock.now() + endpoint.limits.totalMs;
  for (let attempt = 1; ; attempt += 1) {
    const permit = await endpoint.limiter.acquire(call.tenantId, call.tokens, call.signal, until - clock.now());
    const pass = await endpoint.breaker.enter().catch((error: unknown) => {
      permit.correct(0);
      throw error;
    });
    const watch = startWatch(clock, endpoint.limits, until, call.signal);
    let handedOn = false;
    let ended = false;
    try {
      const events = run(watch);
      for (;;) {
        const next = await events.next();
        if (next.done) {
          permit.correct(next.value);
          break;
        }
        handedOn = true;
        yield next.value;
        watch.heard();
      }
      ended = true;
      pass.end();
      metrics.count('model_requests_total', { model: call.model, outcome: 'ok' });
      return;
    } catch (error) {
      const failure = toModelError(error, watch.signal, call.model, clock.now());
      ended = true;
      pass.end(failure);
      metrics.count('model_requests_total', { model: call.model, outcome: failure.code });
      if (failure.code !== 'cancelled') {
        log.warn('model_call_failed', {
          model: call.model,
          code: failure.code,
          attempt,
          status: statusOf(error),
          retryable: failure.retryable,
        });
      }
      if (failure.code === 'rate-limited' && failure.retryAfterMs !== undefined) {
        endpoint.limiter.pauseUntil(clock.now() + Math.min(failure.retryAfterMs, endpoint.limits.totalMs));
      }
      if (handedOn || !failure.retryable || attempt >= endpoint.limits.attempts) throw failure;
      const pauseMs = pauseBefore(attempt, failure, endpoint.limits, random);
      if (clock.now() + pauseMs >= until) throw failure;
      await clock.sleep(pauseMs, call.signal);
    } finally {
      // The reader walked away in the middle: hang up, and hold nothing against the endpoint.
      if (!ended) pass.end();
      watch.end();
    }
  }
}

const statusOf = (error: unknown): number | null => (error instanceof APIError ? (error.status ?? null) : null);

// ── chat ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What this endpoint turned out to understand; learned from its first refusal and kept. */
type Dialect = { streamUsage: boolean; limitField: 'max_tokens' | 'max_completion_tokens'; temperature: boolean };

/** Returns whether the refusal named something that we can do without. */
const adapt = (dialect: Dialect, error: unknown): boolean => {
  if (!(error instanceof APIError) || (error.status !== 400 && error.status !== 422)) return false;
  const words = `${error.message} ${error.param ?? ''}`;
  if (dialect.streamUsage && /stream_options|include_usage/.test(words)) {
    dialect.streamUsage = false;
    return true;
  }
  if (dialect.limitField === 'max_tokens' && /max_completion_tokens|max_tokens/.test(words)) {
    dialect.limitField = 'max_completion_tokens';
    return true;
  }
  if (dialect.temperature && /temperature/.test(words)) {
    dialect.temperature = false;
    return true;
  }
  return false;
};

export const createOpenAiChat = (
  options: EndpointOptions & {
    readonly smallModel?: string | undefined;
    /** What may be asked for by name besides. */
    readonly others?: readonly string[] | undefined;
  },
): ChatModel => {
  // Generous for a thousand tokens wrapped in events; far below what could hurt.
  const endpoint = connect(options, 2 * 1024 * 1024);
  /** Models of one endpoint may differ in what they understand. */
  const dialects = new Map<string, Dialect>();
  const dialectOf = (model: string): Dialect => {
    const known = dialects.get(model) ?? { streamUsage: true, limitField: 'max_tokens', temperature: true };
    dialects.set(model, known);
    return known;
  };
  const others = (options.others ?? []).filter((name) => name !== options.model);

  const open = async (model: string, request: ChatRequest, signal: AbortSignal) => {
    const dialect = dialectOf(model);
    for (;;) {
      try {
        return await endpoint.client.chat.completions.create(
          {
            model,
            stream: true,
            messages: request.messages.map(({ role, content }) => ({ role, content })),
            [dialect.limitField]: request.maxTokens,
            ...(dialect.streamUsage ? { stream_options: { include_usage: true } } : {}),
            ...(dialect.temperature && request.temperature !== undefined ? { temperature: request.temperature } : {}),
          },
          { signal },
        );
      } catch (error) {
        if (!adapt(dialect, error)) throw error;
      }
    }
  };

  async function* once(
    model: string,
    request: ChatRequest,
    promptTokens: number,
    watch: Watch,
  ): AsyncGenerator<ChatEvent, number> {
    const maxCharacters = request.maxTokens * 24 + 4_000;
    const stream = await open(model, request, watch.signal);
    let text = '';
    let finish: string | null = null;
    let usage: { readonly prompt_tokens: number; readonly completion_tokens: number } | null = null;
    for await (const chunk of stream) {
      watch.heard();
      usage = chunk.usage ?? usage;
      const choice = chunk.choices?.[0];
      finish = choice?.finish_reason ?? finish;
      const delta = choice?.delta?.content;
      if (!delta) continue;
      text += delta;
      if (text.length > maxCharacters) {
        throw new AppError(
          'model-failed',
          'The language model sent far more than was asked for, so its answer was cut off.',
        );
      }
      yield { type: 'delta', text: delta };
    }
    // The client ends quietly when we hang up, and when the connection is cut after a whole event: both are failures.
    if (watch.signal.aborted) throw watch.signal.reason;
    if (finish === null) {
      throw new AppError(
        'model-failed',
        'The language model broke off in the middle of its answer. Please try again.',
        { retryable: true },
      );
    }
    const counted = usage ?? { prompt_tokens: promptTokens, completion_tokens: countTokens(text) };
    yield {
      type: 'end',
      finish: finish === 'length' ? 'length' : finish === 'content_filter' ? 'filter' : 'stop',
      // As asked for: prices and ledgers know the configured name, not the dated one that served it.
      model,
      usage: {
        promptTokens: counted.prompt_tokens,
        completionTokens: counted.completion_tokens,
        estimated: usage === null,
      },
    };
    return counted.prompt_tokens + counted.completion_tokens;
  }

  return {
    name: options.model,
    ...(others.length === 0 ? {} : { others }),
    async *stream(request, { signal }) {
      const asked = request.model !== undefined && others.includes(request.model) ? request.model : undefined;
      const model = asked ?? (request.size === 'small' ? (options.smallModel ?? options.model) : options.model);
      const promptTokens = request.messages.reduce((sum, message) => sum + countTokens(message.content) + 4, 0);
      const call = { model, tenantId: request.tenantId, tokens: promptTokens + request.maxTokens, signal };
      yield* tries(endpoint, options.runtime, call, (watch) => once(model, request, promptTokens, watch));
    },
  };
};

// ── embeddings ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const createOpenAiEmbedder = (options: EndpointOptions): Embedder => {
  const endpoint = connect(options, embeddingBodyLimit);

  async function* once(texts: readonly string[], estimate: number, watch: Watch): AsyncGenerator<Embeddings, number> {
    const response = await endpoint.client.embeddings.create(
      { model: options.model, input: [...texts], encoding_format: 'float' },
      { signal: watch.signal },
    );
    const rows = response.data.toSorted((a, b) => a.index - b.index);
    const dimensions = rows[0]?.embedding.length ?? 0;
    const whole =
      rows.length === texts.length && dimensions > 0 && rows.every((row) => row.embedding.length === dimensions);
    if (!whole) throw new AppError('model-failed', 'The embedding model answered only in part.', { retryable: true });
    const tokens = response.usage?.prompt_tokens ?? estimate;
    yield { vectors: rows.map((row) => toUnitLength(row.embedding)), tokens, model: options.model };
    return tokens;
  }

  return {
    name: options.model,
    embed: async (texts, _kind, { signal, tenantId }) => {
      const vectors: Float32Array[] = [];
      let tokens = 0;
      for (const batch of batchesOf(texts)) {
        const estimate = batch.reduce((sum, text) => sum + countTokens(text), 0);
        const call = { model: options.model, tenantId, tokens: estimate, signal };
        for await (const part of tries(endpoint, options.runtime, call, (watch) => once(batch, estimate, watch))) {
          vectors.push(...part.vectors);
          tokens += part.tokens;
        }
      }
      return { vectors, tokens, model: options.model };
    },
  };
};

function* batchesOf(texts: readonly string[]): Generator<readonly string[]> {
  let batch: string[] = [];
  let characters = 0;
  for (const text of texts) {
    if (
      batch.length >= embeddingBatch.texts ||
      (batch.length > 0 && characters + text.length > embeddingBatch.characters)
    ) {
      yield batch;
      batch = [];
      characters = 0;
    }
    // Endpoints refuse an empty string; a space embeds to something and keeps the order.
    batch.push(text === '' ? ' ' : text);
    characters += text.length;
  }
  if (batch.length > 0) yield batch;
}

const toUnitLength = (values: readonly number[]): Float32Array => {
  const vector = Float32Array.from(values);
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!Number.isFinite(squares) || squares === 0) {
    throw new AppError('model-failed', 'The embedding model answered with something that is not a vector.', {
      retryable: true,
    });
  }
  const length = Math.sqrt(squares);
  return vector.map((value) => value / length);
};
