/** What the core is handed instead of reaching outside: time, chance, words for the operator, numbers for the graphs. */

export type Clock = {
  now(): number;
  /** Rejects with AppError `cancelled` when the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

export type Random = {
  /** `bytes` of entropy as lower-case hex. */
  hex(bytes: number): string;
  /** 0 ≤ x < 1 */
  float(): number;
};

export type LogFields = Readonly<
  Record<string, string | number | boolean | null | undefined | readonly string[] | readonly number[]>
>;

/** Allow-listed fields only: never raw payloads, message text or secrets. */
export type Log = {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields & { readonly error?: string }): void;
  child(fields: LogFields): Log;
};

/** Names are declared in core/observe/metrics.ts and registered at start; never a tenant id as a label. */
export type Metrics = {
  count(name: CounterName, labels?: Readonly<Record<string, string>>, by?: number): void;
  observe(name: HistogramName, seconds: number, labels?: Readonly<Record<string, string>>): void;
  set(name: GaugeName, value: number, labels?: Readonly<Record<string, string>>): void;
};

export type CounterName =
  | 'events_total' // platform, reason
  | 'answers_total' // platform, outcome
  | 'tokens_total' // model, direction: prompt | completion | embedding
  | 'model_requests_total' // model, outcome
  | 'documents_total' // outcome: upserted | unchanged | removed | failed
  | 'errors_total' // code
  | 'quota_refusals_total' // scope, unit
  | 'http_requests_total' // route, status
  | 'cache_total' // outcome: hit | miss
  | 'platform_limits_total' // platform
  | 'feedback_total' // rating
  | 'notices_total' // kind: webhook | chat, outcome: delivered | waiting | failed, of each try
  | 'webhooks_paused_total'; // why: gone | failures
export type HistogramName =
  | 'step_seconds' // step: condense | search_text | embed_query | search_vector | compose | check | reserve | deliver
  | 'answer_seconds' // platform, outcome
  | 'first_token_seconds'
  | 'acknowledge_seconds' // platform
  | 'platform_wait_seconds' // platform
  | 'http_seconds' // route
  | 'webhook_seconds' // outcome: delivered | refused
  | 'ingest_seconds' // step
  | 'state_seconds'; // verb
export type GaugeName =
  | 'inbox_ready'
  | 'inbox_oldest_seconds'
  | 'jobs_running'
  | 'model_queue'
  | 'breaker_open' // endpoint
  | 'event_loop_delay_seconds' // quantile
  | 'up';

/** The parts every path is handed. */
export type Runtime = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** LOG_TEXT: the lines of answers carry the text of question and answer (default: no). */
  readonly logText?: boolean;
};
