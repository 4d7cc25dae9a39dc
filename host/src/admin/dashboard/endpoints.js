// Servers that requests go to, and the nodes that share the work.

import { read } from './node.js';
import { count, span } from './figures.js';
import { el, empty, pill } from './page.js';

const STAGES = { closed: ['sending', 'good'], 'half-open': ['trying one request', 'warn'], open: ['left alone: it fails', 'bad'] };

export function open(root, page) {
  const table = el('div', { class: 'card scroll' });
  const nodes = el('div', { class: 'card scroll' });
  root.append(el('div', { class: 'head' }, el('h1', { text: 'Endpoints' })), table, el('h2', { text: 'Nodes' }),
    el('p', { class: 'quiet', text: 'Who shares the work, as Redis knows them. What a node held that is gone is taken over by the others.' }), nodes);
  const view = { turn: 0 };
  view.update = () => {
    table.replaceChildren(endpoints(page.status.endpoints));
    if (view.turn++ % 3 === 0) others(nodes);
  };
  view.update();
  return view;
}

function endpoints(list) {
  if (!list.length) return empty('Nothing has been sent yet', 'Servers appear here with the first request to them.');
  const row = (endpoint) => {
    const [stage, tone] = endpoint.breaker === 'closed' && endpoint.held_seconds > 0 ? [`asked to be left alone for ${span(endpoint.held_seconds)}`, 'warn'] : STAGES[endpoint.breaker] ?? [endpoint.breaker, 'calm'];
    return el('tr', {}, el('th', { scope: 'row', text: endpoint.name }), el('td', {}, pill(stage, tone)),
      cell(`${count(endpoint.in_flight)} of ${count(endpoint.limit)}`), cell(span(endpoint.reply_seconds)), cell(count(endpoint.requests)), cell(count(endpoint.failures)), cell(count(endpoint.put_back)));
  };
  return grid(['Server', 'State', 'Under way', 'A reply takes', 'Requests', 'Failed', 'Put back'], list.map(row));
}

async function others(place) {
  try {
    const list = await read('api/nodes');
    const row = (node) => el('tr', {}, el('th', { scope: 'row' }, node.node, node.this ? el('span', { class: 'quiet', text: ' (this one)' }) : ''),
      el('td', {}, pill(node.alive ? 'alive' : 'gone', node.alive ? 'good' : 'bad')), cell(count(node.lanes)), el('td', { text: node.sources.join(', ') || '–' }));
    place.replaceChildren(grid(['Node', 'State', 'Lanes', 'Takes from'], list.map(row)));
  } catch (error) {
    place.replaceChildren(el('p', { class: 'quiet', text: error.message }));
  }
}

const cell = (text) => el('td', { class: 'number', text });
const grid = (titles, rows) => el('table', {}, el('thead', {}, el('tr', {}, titles.map((title) => el('th', { scope: 'col', text: title })))), el('tbody', {}, rows));
