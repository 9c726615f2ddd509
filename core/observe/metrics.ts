import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CounterName, GaugeName, HistogramName, Metrics } from '../ports/runtime.ts';

type Declared = { readonly help: string; readonly labels: readonly string[] };

const counters: Readonly<Record<CounterName, Declared>> = {
  events_total: { help: 'Events heard, by how they ended', labels: ['platform', 'reason'] },
  answers_total: { help: 'Answers by outcome', labels: ['platform', 'outcome'] },
  tokens_total: { help: 'Tokens used', labels: ['model', 'direction'] },
  model_requests_total: { help: 'Requests to model endpoints', labels: ['model', 'outcome'] },
  documents_total: { help: 'Documents processed', labels: ['outcome'] },
  errors_total: { help: 'Errors by code', labels: ['code'] },
  quota_refusals_total: { help: 'Questions refused by an allowance', labels: ['scope', 'unit'] },
  http_requests_total: { help: 'HTTP requests', labels: ['route', 'status'] },
  cache_total: { help: 'Answer cache', labels: ['outcome'] },
  platform_limits_total: { help: 'Calls that a platform answered with "too many" (429)', labels: ['platform'] },
  feedback_total: { help: 'Verdicts of people', labels: ['rating'] },
  notices_total: { help: 'Tries to tell a webhook or a chat, by how they ended', labels: ['kind', 'outcome'] },
  webhooks_paused_total: { help: 'Webhooks that were paused because they took nothing', labels: ['why'] },
};

const quick = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const slow = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const histograms: Readonly<Record<HistogramName, Declared & { readonly buckets: readonly number[] }>> = {
  step_seconds: { help: 'Time of each step of an answer', labels: ['step'], buckets: [...quick, 5, 10, 30, 60] },
  answer_seconds: {
    help: 'From hearing a question to the end of its answer',
    labels: ['platform', 'outcome'],
    buckets: slow,
  },
  first_token_seconds: { help: 'From the model call to its first token', labels: [], buckets: slow },
  acknowledge_seconds: { help: 'From a webhook to its acknowledgement', labels: ['platform'], buckets: quick },
  platform_wait_seconds: {
    help: "Waits for a platform's limits, before a 429 and after it",
    labels: ['platform'],
    buckets: slow,
  },
  http_seconds: { help: 'HTTP requests', labels: ['route'], buckets: quick },
  webhook_seconds: {
    help: "From sending a webhook's message to the receiver's answer",
    labels: ['outcome'],
    buckets: slow,
  },
  ingest_seconds: { help: 'Time of each step of a document', labels: ['step'], buckets: slow },
  state_seconds: { help: 'Verbs of the state store', labels: ['verb'], buckets: quick },
};

const gauges: Readonly<Record<GaugeName, Declared>> = {
  inbox_ready: { help: 'Events stored and not yet worked off', labels: [] },
  inbox_oldest_seconds: { help: 'Age of the oldest of them', labels: [] },
  jobs_running: { help: 'Jobs running in this process', labels: [] },
  model_queue: { help: "Requests waiting for the provider's limits", labels: [] },
  breaker_open: { help: '1 while the circuit breaker of an endpoint is open', labels: ['endpoint'] },
  event_loop_delay_seconds: { help: 'Delay of the event loop since the last scrape', labels: ['quantile'] },
  up: { help: '1 while the instance serves', labels: [] },
};

/** Every name is registered at once, so that a dashboard finds it before the first event. */
export const createMetrics = (): Metrics & { text(): Promise<string> } => {
  const registry = new Registry();
  const prefix = 'footnote_';
  collectDefaultMetrics({ register: registry, prefix });
  const common = ([name, { help, labels }]: [string, Declared]) => ({
    name: `${prefix}${name}`,
    help,
    labelNames: [...labels],
    registers: [registry],
  });
  const counted = new Map(Object.entries(counters).map((entry) => [entry[0], new Counter(common(entry))]));
  const observed = new Map(
    Object.entries(histograms).map((entry) => [
      entry[0],
      new Histogram({ ...common(entry), buckets: [...entry[1].buckets] }),
    ]),
  );
  const gauged = new Map(Object.entries(gauges).map((entry) => [entry[0], new Gauge(common(entry))]));
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();

  const set: Metrics['set'] = (name, value, labels = {}) => gauged.get(name)?.set(labels, value);
  return {
    count: (name, labels = {}, by = 1) => counted.get(name)?.inc(labels, by),
    observe: (name, seconds, labels = {}) => observed.get(name)?.observe(labels, seconds),
    set,
    text: () => {
      for (const quantile of [50, 99])
        set('event_loop_delay_seconds', delay.percentile(quantile) / 1e9, { quantile: `0.${quantile}` });
      set('event_loop_delay_seconds', delay.max / 1e9, { quantile: '1' });
      delay.reset();
      return registry.metrics();
    },
  };
};
