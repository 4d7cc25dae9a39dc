// Figures: what Prometheus would scrape, read here as rates, and how people read them.

/** Samples of the text format: [name, labels, value]. */
export function samples(text) {
  const found = [];
  for (const line of text.split('\n')) {
    const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!parts) continue;
    const labels = {};
    for (const [, name, value] of (parts[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter));
    }
    found.push([parts[1], labels, Number(parts[3])]);
  }
  return found;
}

/** Figures of pipelines, and how they change from look to look. */
export class Figures {
  #last = null;
  #pipelines = new Map();

  /** A further look, of the text at `/metrics`. */
  add(text, now = performance.now()) {
    const look = { now, of: new Map() };
    for (const [name, labels, value] of samples(text)) {
      if (!labels.pipeline) continue;
      if (!look.of.has(labels.pipeline)) look.of.set(labels.pipeline, { outcomes: {}, stages: {}, backlog: 0, known: false });
      note(look.of.get(labels.pipeline), name, labels, value);
    }
    for (const [name, seen] of look.of) {
      const before = this.#last?.of.get(name);
      const shown = this.#pipelines.get(name) ?? { history: [] };
      shown.backlog = seen.known ? seen.backlog : null;
      shown.oldest = seen.oldest ?? null;
      shown.delayed = seen.delayed ?? 0;
      shown.inFlight = seen.inFlight ?? null;
      if (before) compare(shown, before, seen, (now - this.#last.now) / 1000);
      this.#pipelines.set(name, shown);
    }
    this.#last = look;
  }

  /** What is known of a pipeline. */
  of(name) {
    return this.#pipelines.get(name) ?? { history: [], backlog: null, rate: null, inFlight: null };
  }
}

function note(pipeline, name, labels, value) {
  switch (name) {
    case 'gristmill_source_backlog_messages': pipeline.backlog += value; pipeline.known = true; break;
    case 'gristmill_source_oldest_seconds': pipeline.oldest = Math.max(pipeline.oldest ?? 0, value); break;
    case 'gristmill_source_delayed_messages': pipeline.delayed = (pipeline.delayed ?? 0) + value; break;
    case 'gristmill_pipeline_in_flight_messages': pipeline.inFlight = value; break;
    case 'gristmill_pipeline_messages_total': pipeline.outcomes[labels.outcome] = value; break;
    case 'gristmill_pipeline_stage_seconds_bucket': (pipeline.stages[labels.stage] ??= []).push([Number(labels.le.replace('+Inf', 'Infinity')), value]); break;
  }
}

function compare(shown, before, seen, seconds) {
  const rate = (outcome) => Math.max(0, ((seen.outcomes[outcome] ?? 0) - (before.outcomes[outcome] ?? 0)) / seconds);
  shown.history = [...shown.history, rate('done')].slice(-60);
  const recent = shown.history.slice(-5);
  shown.rate = recent.reduce((all, one) => all + one, 0) / recent.length;
  shown.stages = {};
  for (const [stage, buckets] of Object.entries(seen.stages)) {
    const old = new Map(before.stages[stage] ?? []);
    const fresh = buckets.map(([bound, count]) => [bound, count - (old.get(bound) ?? 0)]);
    const late = quantile(fresh, 0.95);
    if (late !== null) (shown.latest ??= {})[stage] = late;
    shown.stages[stage] = shown.latest?.[stage] ?? quantile(buckets, 0.95);
  }
}

/** The quantile of a histogram with counts that add up; in seconds, none where there is nothing. */
export function quantile(buckets, part) {
  const sorted = [...buckets].sort(([one], [other]) => one - other);
  const all = sorted.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  let [low, under] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= part * all) {
      if (bound === Infinity) return low;
      return low + (bound - low) * ((part * all - under) / Math.max(1, count - under));
    }
    [low, under] = [bound, count];
  }
  return low;
}

const NUMBER = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, notation: 'compact' });
const WHOLE = new Intl.NumberFormat('en');

export const count = (value) => (value === null || value === undefined ? '–' : value < 100_000 ? WHOLE.format(value) : NUMBER.format(value));
export const perSecond = (value) => (value === null || value === undefined ? '–' : value > 0 && value < 10 ? value.toFixed(1) : NUMBER.format(Math.round(value)));

export function span(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Number((seconds * 1e3).toPrecision(2))} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds / 60) % 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds / 3600) % 24)} h`;
}

export const ago = (ms) => `${span(Math.max(0, Math.round((Date.now() - ms) / 1000)))} ago`.replace(/^0 µs/, 'less than 1 s');
export const moment = (ms) => new Date(ms).toLocaleString();

export function bytes(value) {
  if (value < 1024) return `${value} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length, Math.floor(Math.log2(value) / 10));
  return `${Number((value / 1024 ** power).toPrecision(3))} ${units[power - 1]}`;
}
