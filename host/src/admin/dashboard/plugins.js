// Plugins: the version in force, what it has used, and how it came to that.

import { ago, bytes, count, moment, span } from './figures.js';
import { button, el, empty, pill, toast } from './page.js';
import { post } from './node.js';

export function open(root, page, query) {
  const list = el('div', { class: 'stack two' });
  const reload = button('Reload the configuration', { busy: 'Reloading…', disabled: !page.may('full'), title: page.may('full') ? '' : 'This needs a full token' }, async () => {
    await post('api/reload');
    toast('The configuration is in force.');
    await page.refresh();
  });
  root.append(el('div', { class: 'head' }, el('h1', { text: 'Plugins' }), reload), list);
  const opened = new Set([query.get('name')]);
  const update = () => {
    const { plugins, without_version: absent } = page.status;
    const cards = [...absent.map((plugin) => missing(plugin)), ...plugins.map((plugin) => card(plugin, opened))];
    const focused = document.activeElement?.dataset?.plugin;
    list.replaceChildren(...(cards.length ? cards : [empty('There is no plugin', 'Put a .wasm file into `plugins_dir`; the node loads it at once.')]));
    if (focused) list.querySelector(`[data-plugin="${CSS.escape(focused)}"]`)?.focus();
  };
  update();
  list.querySelector('[open]')?.scrollIntoView({ block: 'center' });
  return { update };
}

function card(plugin, opened) {
  const { name, kind, digest, since, refused, history } = plugin;
  const each = plugin.calls ? plugin.cpu_seconds / plugin.calls : 0;
  const figure = (label, value) => el('div', {}, el('dt', { text: label }), el('dd', { text: value }));
  const details = el('details', { open: opened.has(name), ontoggle: () => (details.open ? opened.add(name) : opened.delete(name)) },
    el('summary', { 'data-plugin': name, text: `History (${history.length})` }), steps(history));
  return el('article', { class: 'card', 'aria-label': `Plugin ${name}` },
    el('div', { class: 'head' }, el('h2', { text: name }), pill(kind, 'calm'), refused ? pill('newer version refused', 'warn') : null,
      el('code', { class: 'digest', text: digest, title: `In force since ${moment(since * 1000)}` })),
    refused ? el('p', { class: 'trouble', text: `${ago(refused.at * 1000)}: ${refused.reason}` }) : null,
    el('dl', { class: 'figures' },
      figure('calls', count(plugin.calls)), figure('processor a call', plugin.calls ? span(each) : '–'),
      figure('faults', count(plugin.faults)), figure('broken', count(plugin.broken)),
      figure('requests', count(plugin.requests)), figure('largest memory', bytes(plugin.memory_peak_bytes)),
      figure('in force for', ago(since * 1000).replace(' ago', ''))),
    details);
}

function missing({ name, history }) {
  const last = history.at(-1);
  return el('article', { class: 'card', 'aria-label': `Plugin ${name}` },
    el('div', { class: 'head' }, el('h2', { text: name }), pill(last?.turn === 'removed' ? 'removed' : 'not in force', 'bad')),
    last?.reason ? el('p', { class: 'trouble', text: last.reason }) : null, steps(history));
}

const TONES = { loaded: 'good', replaced: 'good', refused: 'warn', removed: 'calm' };

function steps(history) {
  const step = ({ at, turn, digest, replaced, reason }) => el('li', {},
    el('time', { text: ago(at * 1000), title: moment(at * 1000) }), pill(turn, TONES[turn] ?? 'calm'),
    digest ? el('code', { text: digest }) : null,
    replaced ? el('span', { class: 'quiet', text: `took over from ${replaced}` }) : null,
    reason ? el('span', { class: 'reason', text: reason }) : null);
  return el('ol', { class: 'steps' }, [...history].reverse().map(step));
}
