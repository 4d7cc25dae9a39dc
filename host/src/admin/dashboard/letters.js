// Dead letters: found, read, edited, replayed and dropped.

import { post, read, remove } from './node.js';
import { ago, bytes, count, moment } from './figures.js';
import { button, confirmed, el, empty, pill, toast } from './page.js';

export function open(root, page, query) {
  if (!page.may('read')) {
    root.append(el('h1', { text: 'Dead letters' }), empty('Messages are not for everybody', 'Dead letters hold messages, so this needs a token: set `[admin] tokens`.'));
    return {};
  }
  const view = new Letters(root, page, query);
  view.load();
  return { close: () => view.closed = true };
}

class Letters {
  constructor(root, page, query) {
    this.page = page;
    this.list = el('ul', { class: 'rows' });
    this.told = el('p', { class: 'quiet', role: 'status' });
    const keeps = page.status.pipelines.filter(({ keeps }) => keeps);
    const option = (value, text) => el('option', { value, text, selected: value === (query.get('pipeline') ?? '') });
    this.pipeline = el('select', { 'aria-label': 'Pipeline', onchange: () => this.load() }, option('', 'All pipelines'), keeps.map(({ name }) => option(name, name)));
    this.search = el('input', { id: 'search', type: 'search', placeholder: 'Search ids, reasons and payloads', 'aria-label': 'Search', value: query.get('search') ?? '', oninput: () => this.soon() });
    root.append(el('div', { class: 'head' }, el('h1', { text: 'Dead letters' }), button('Look again', { busy: 'Looking…' }, () => this.load())),
      el('form', { class: 'filters', role: 'search', onsubmit: (event) => { event.preventDefault(); this.load(); } }, this.search, this.pipeline),
      this.told, this.list);
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), 250);
  }

  async load() {
    const asked = new URLSearchParams({ limit: 100 });
    if (this.pipeline.value) asked.set('pipeline', this.pipeline.value);
    if (this.search.value.trim()) asked.set('search', this.search.value.trim());
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const found = await read(`api/dead?${asked}`);
      if (turn === this.turn && !this.closed) this.show(found);
    } catch (error) {
      if (turn === this.turn) this.told.textContent = error.message;
    }
  }

  show({ letters, more, total }) {
    this.told.textContent = letters.length ? `${more ? 'The oldest ' : ''}${count(letters.length)} of ${count(total)}` : '';
    const none = total && (this.search.value || this.pipeline.value)
      ? empty('Nothing fits', 'Search for something else, or look at all pipelines.')
      : empty('There are no dead letters', 'Messages that are given up come here, with their whole story, until somebody replays or drops them.');
    this.list.replaceChildren(...(letters.length ? letters.map((letter) => this.row(letter)) : [none]));
  }

  row(letter) {
    const reason = letter.troubles.at(-1);
    return el('li', {}, el('button', { type: 'button', class: 'letter', 'data-entry': letter.entry, onclick: () => this.read(letter) },
      el('span', { class: 'what' }, el('b', { text: reason?.reason ?? 'unknown' }), el('span', { class: 'quiet', text: `${letter.pipeline} · ${letter.source} · ${letter.id}` })),
      el('span', { class: 'side' }, reason?.plugin ? pill(reason.plugin, 'calm') : null, el('span', { class: 'quiet', text: `${count(letter.attempts)} ${letter.attempts === 1 ? 'attempt' : 'attempts'}, ${ago(letter.died_ms)}` }))));
  }

  async read(row) {
    try {
      const letter = await read(path(row));
      new Sheet(letter, this.page, () => this.load());
    } catch (error) {
      toast(error.message, 'bad');
      this.load();
    }
  }
}

/** Which one, among those with the same entry in several streams. */
function path(letter, verb = '') {
  const which = new URLSearchParams({ pipeline: letter.pipeline, source: letter.source });
  return `api/dead/${encodeURIComponent(letter.entry)}${verb}?${which}`;
}

/** One letter, opened over the list. */
class Sheet {
  constructor(letter, page, changed) {
    Object.assign(this, { letter, page, changed });
    const allowed = page.may('full');
    const hint = allowed ? '' : 'This needs a full token';
    this.text = letter.payload ?? letter.payload_base64;
    this.field = el('textarea', { id: 'payload', spellcheck: 'false', readonly: !allowed || letter.payload === undefined, rows: Math.min(16, Math.max(4, pretty(this.text).split('\n').length)), oninput: () => this.edited() });
    this.field.value = this.text;
    this.note = el('p', { class: 'quiet', role: 'status' });
    const targets = page.status.pipelines.filter(({ keeps }) => keeps).map(({ name }) => el('option', { value: name, text: name, selected: name === letter.pipeline }));
    this.to = el('select', { id: 'to', 'aria-label': 'Replay through' }, targets);
    this.replay = button('Replay', { class: 'primary', busy: 'Replaying…', disabled: !allowed, title: hint }, () => this.again());
    this.dialog = el('dialog', { class: 'sheet', 'aria-label': `Dead letter ${letter.entry}`, onclose: () => this.dialog.remove() },
      el('div', { class: 'head' }, el('h2', { text: letter.troubles.at(-1)?.reason ?? 'Given up' }), button('Close', { class: 'link' }, () => this.dialog.close())),
      this.facts(), this.story(),
      el('label', { for: 'payload', text: letter.payload === undefined ? 'Payload, as base64' : 'Payload' }), this.field, this.note,
      el('div', { class: 'row spread' },
        el('div', { class: 'row' }, button('Drop', { class: 'danger', disabled: !allowed, title: hint }, () => this.drop()), this.formatter()),
        el('div', { class: 'row' }, targets.length > 1 ? [el('label', { for: 'to', text: 'through' }), this.to] : null, this.replay)));
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.edited();
  }

  facts() {
    const { letter } = this;
    const fact = (label, value, title) => el('div', { title }, el('dt', { text: label }), el('dd', { text: value }));
    return el('dl', { class: 'figures' }, fact('pipeline', letter.pipeline), fact('source', letter.source), fact('message', letter.id), fact('given up', ago(letter.died_ms), moment(letter.died_ms)),
      fact('first taken', moment(letter.received_ms)), fact('payload', bytes(letter.payload_bytes)),
      (letter.headers ?? []).map(([name, value]) => fact(name, value)));
  }

  story() {
    const trouble = ({ attempt, plugin, digest, broke, reason }) => el('li', {}, pill(`attempt ${attempt}`, broke ? 'bad' : 'calm'),
      el('span', { text: `${plugin ?? 'the host'}${digest ? ` ${digest.slice(0, 7)}` : ''}${broke ? ' broke' : ''}` }), el('span', { class: 'reason', text: reason }));
    return el('ol', { class: 'steps' }, this.letter.troubles.map(trouble));
  }

  formatter() {
    if (this.letter.payload === undefined || pretty(this.text) === this.text || this.field.readOnly) return null;
    return button('Lay out', { title: 'JSON with lines and spaces' }, () => { this.field.value = pretty(this.field.value); this.edited(); });
  }

  edited() {
    const changed = this.field.value !== this.text;
    this.replay.textContent = changed ? 'Replay edited' : 'Replay';
    this.note.textContent = changed ? 'Another payload makes another message: it gets an id of its own, and all publishers run.' : 'Replayed as it was, it keeps its id, and publishers that had succeeded do not run again.';
  }

  async again() {
    const body = {};
    if (this.field.value !== this.text) body.payload = this.field.value;
    if (this.to.value && this.to.value !== this.letter.pipeline) body.to = this.to.value;
    const { to } = await post(path(this.letter, '/replay'), body);
    toast(`Replayed through ${to}.`);
    this.done();
  }

  async drop() {
    if (!(await confirmed('Forget this message for good?', 'Drop it'))) return;
    await remove(path(this.letter));
    toast('Dropped.');
    this.done();
  }

  done() {
    this.dialog.close();
    this.changed();
    this.page.refresh();
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
