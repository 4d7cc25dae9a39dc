// Tap: samples of messages as they pass, without what is redacted.

import { lines } from './node.js';
import { bytes, count } from './figures.js';
import { el, empty, pill, toast } from './page.js';

const MOST = 200;
const TONES = { taken: 'calm', filtered: 'calm', dropped: 'warn', done: 'good', retried: 'warn', dead: 'bad' };

export function open(root, page, query) {
  if (!page.may('read')) {
    root.append(el('h1', { text: 'Tap' }), empty('Messages are not for everybody', 'A tap shows messages, so this needs a token: set `[admin] tokens`.'));
    return {};
  }
  const view = new View(root, page, query);
  view.start();
  return { close: () => view.stop() };
}

class View {
  constructor(root, page, query) {
    this.rows = el('div', { class: 'rows', role: 'log', 'aria-label': 'Messages' });
    this.told = el('p', { class: 'quiet', role: 'status' });
    const choice = (label, first, values, chosen) => el('select', { 'aria-label': label, onchange: () => this.start() }, el('option', { value: '', text: first }), values.map((value) => el('option', { value, text: value, selected: value === chosen })));
    this.pipeline = choice('Pipeline', 'All pipelines', page.status.pipelines.map(({ name }) => name), query.get('pipeline'));
    this.stage = choice('Stage', 'All stages', Object.keys(TONES));
    this.rate = el('select', { 'aria-label': 'Messages each second', onchange: () => this.start() }, [1, 5, 10, 50].map((rate) => el('option', { value: rate, text: `${rate} a second`, selected: rate === 5 })));
    this.toggle = el('button', { type: 'button', text: 'Stop', onclick: () => (this.flow ? this.stop() : this.start()) });
    root.append(el('div', { class: 'head' }, el('h1', { text: 'Tap' }), this.toggle), el('form', { class: 'filters', onsubmit: (event) => event.preventDefault() }, this.pipeline, this.stage, this.rate), this.told, this.rows);
  }

  async start() {
    this.stop();
    const flow = (this.flow = new AbortController());
    this.seen = 0;
    this.missed = 0;
    this.toggle.textContent = 'Stop';
    this.rows.replaceChildren(empty('Waiting for messages', 'They appear here as they pass. What is redacted stays hidden.'));
    this.tell();
    const asked = new URLSearchParams({ rate: this.rate.value });
    for (const name of ['pipeline', 'stage']) if (this[name].value) asked.set(name, this[name].value);
    try {
      await lines(`api/tap?${asked}`, flow.signal, (line) => this.show(line));
    } catch (error) {
      if (error.name !== 'AbortError') toast(error.message, 'bad');
    }
    if (this.flow === flow) this.stop();
  }

  stop() {
    this.flow?.abort();
    this.flow = null;
    this.toggle.textContent = 'Start';
  }

  show(line) {
    this.rows.querySelector('.empty')?.remove();
    this.seen += 1;
    this.missed += line.missed;
    const payload = line.payload ?? line.payload_base64;
    const row = el('details', { class: 'sighting' },
      el('summary', {}, el('time', { text: new Date(line.at_ms).toLocaleTimeString() }), pill(line.stage, TONES[line.stage] ?? 'calm'),
        el('span', { class: 'quiet', text: [line.pipeline, line.plugin].filter(Boolean).join(' · ') }), el('code', { text: payload.slice(0, 300) })),
      el('p', { class: 'quiet', text: `${line.id}, from ${line.source}, attempt ${line.attempt}, ${bytes(line.payload_bytes)}${line.reason ? `: ${line.reason}` : ''}` }),
      line.headers.length ? el('p', { class: 'quiet', text: line.headers.map(([name, value]) => `${name}: ${value}`).join(', ') }) : null,
      el('pre', { text: laidOut(payload) }));
    this.rows.prepend(row);
    while (this.rows.childElementCount > MOST) this.rows.lastElementChild.remove();
    this.tell();
  }

  tell() {
    this.told.textContent = this.seen ? `${count(this.seen)} shown, ${count(this.missed)} passed by unseen` : '';
  }
}

function laidOut(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
