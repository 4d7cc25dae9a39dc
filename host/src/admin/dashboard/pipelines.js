// Pipelines, drawn as the way that a message goes: from its source through the filters to the publishers.

import { post } from './node.js';
import { ago, count, perSecond, span } from './figures.js';
import { button, el, empty, pill, svg, toast } from './page.js';

export function open(root, page) {
  const cards = new Map();
  const list = el('div', { class: 'stack' });
  root.append(el('div', { class: 'head' }, el('h1', { text: 'Pipelines' }), total(page)), list);
  const update = () => {
    root.querySelector('.totals').replaceWith(total(page));
    const { pipelines } = page.status;
    if (!pipelines.length) return list.replaceChildren(empty('There is no pipeline', 'Add a [pipeline.NAME] to the configuration; the node reads it when it changes.'));
    for (const pipeline of pipelines) {
      if (!cards.has(pipeline.name)) {
        cards.set(pipeline.name, new Card(pipeline.name, page));
        list.append(cards.get(pipeline.name).root);
      }
      cards.get(pipeline.name).update(pipeline, page.figures.of(pipeline.name));
    }
    for (const [name, card] of cards) {
      if (!pipelines.some((pipeline) => pipeline.name === name)) { card.root.remove(); cards.delete(name); }
    }
  };
  update();
  return { update };
}

function total(page) {
  const figures = page.status.pipelines.map(({ name }) => page.figures.of(name));
  const sum = (pick) => figures.reduce((all, one) => all + (pick(one) ?? 0), 0);
  const figure = (value, label) => el('div', {}, el('b', { text: value }), el('span', { text: label }));
  return el('div', { class: 'totals' },
    figure(perSecond(figures.some(({ rate }) => rate !== null && rate !== undefined) ? sum(({ rate }) => rate) : null), 'messages a second'),
    figure(figures.some(({ backlog }) => backlog !== null) ? count(sum(({ backlog }) => backlog)) : '–', 'waiting'),
    figure(count(page.status.pipelines.reduce((all, { dead }) => all + dead, 0)), 'into dead letters'));
}

/** One pipeline; what is in it is made once, and filled with each look. */
class Card {
  constructor(name, page) {
    this.page = page;
    this.name = name;
    this.stage = el('span');
    this.actions = el('div', { class: 'row' });
    this.way = el('div', { class: 'way' });
    this.figures = el('dl', { class: 'figures' });
    this.root = el('article', { class: 'card pipeline', 'aria-label': `Pipeline ${name}` },
      el('div', { class: 'head' }, el('h2', { text: name }), this.stage, this.actions), this.way, this.figures);
  }

  update(pipeline, figures) {
    this.root.dataset.stage = pipeline.stage;
    const since = pipeline.paused_since ? `${pipeline.stage} for ${ago(pipeline.paused_since * 1000).replace(' ago', '')}` : '';
    this.stage.replaceChildren(since ? pill(since, 'warn') : pill('running', 'good'));
    this.control(pipeline);
    this.draw(pipeline, figures);
    this.tell(pipeline, figures);
  }

  /** The button is kept while it says the same, so that it keeps the focus. */
  control(pipeline) {
    const verb = pipeline.stage === 'running' ? 'pause' : 'resume';
    const state = `${verb} ${this.page.role} ${pipeline.stage}`;
    if (this.state === state) return;
    this.state = state;
    const allowed = this.page.may('full');
    const about = { label: `${verb} ${this.name}`, disabled: !allowed || pipeline.stage === 'pausing', busy: verb === 'pause' ? 'Finishing…' : 'Starting…', title: allowed ? '' : 'This needs a full token' };
    const done = { pause: 'takes nothing new', resume: 'takes again' }[verb];
    this.actions.replaceChildren(button(verb === 'pause' ? 'Pause' : 'Resume', { ...about, class: verb === 'resume' ? 'primary' : '' }, async () => {
      await post(`api/pipelines/${encodeURIComponent(this.name)}/${verb}`);
      toast(`${this.name} ${done}.`);
      await this.page.refresh();
    }), this.page.may('read') ? el('a', { class: 'button', href: `#tap?pipeline=${encodeURIComponent(this.name)}`, text: 'Tap' }) : null);
  }

  draw(pipeline, figures) {
    const plugins = new Map([...this.page.status.plugins].map((plugin) => [plugin.name, plugin]));
    const flows = pipeline.stage === 'running' && figures.rate > 0;
    const stuck = figures.backlog > 0 && !figures.rate;
    const source = block('source', ...origin(pipeline.from, figures.backlog), stuck ? 'warn' : '');
    const step = (kind) => (name) => {
      const plugin = plugins.get(name);
      const refused = plugin?.refused;
      const tone = refused ? 'warn' : !plugin && name !== 'edge' ? 'bad' : '';
      return block(kind, name, refused ? 'newer one refused' : plugin ? `${kind} ${plugin.digest.slice(0, 7)}` : name === 'edge' ? 'browsers' : 'missing', tone, plugin && `#plugins?name=${encodeURIComponent(name)}`);
    };
    const parts = [source, ...pipeline.filters.map(step('filter'))];
    const ends = pipeline.publish.length ? pipeline.publish.map(step('publisher')) : [block('publisher', 'nothing', 'settled when filtered', '')];
    const forks = ends.length > 1;
    const way = parts.flatMap((part, index) => [part, arrow(flows, forks && index === parts.length - 1)]);
    if (forks) way.push(fork(ends.length, flows));
    way.push(el('div', { class: 'ends' }, ends));
    this.way.replaceChildren(...way);
  }

  tell(pipeline, figures) {
    const stages = figures.stages ?? {};
    const figure = (label, value, hint) => el('div', { title: hint }, el('dt', { text: label }), el('dd', {}, value));
    const rest = [
      figure('messages a second', el('span', { class: 'big' }, perSecond(figures.rate), spark(figures.history ?? [])), 'Messages that are through, over the last ten seconds'),
      figure('in flight', `${count(figures.inFlight)} of ${count(pipeline.in_flight_limit)}`, 'Taken and not yet settled'),
      figure('done', count(pipeline.done), 'Since the node started'),
      figure('again', count(pipeline.retried), 'Attempts that failed and are made again'),
      figure('dead', pipeline.dead && pipeline.keeps && this.page.may('read') ? el('a', { href: `#dead?pipeline=${encodeURIComponent(this.name)}`, text: count(pipeline.dead) }) : count(pipeline.dead), 'Given up since the node started'),
    ];
    for (const [stage, label] of [['filter', 'filters'], ['publish', 'publishers'], ['settle', 'settling']]) {
      if (stages[stage] !== undefined && stages[stage] !== null) rest.push(figure(`${label}, 95 %`, span(stages[stage]), `19 of 20 messages take no longer in ${label}`));
    }
    if (figures.oldest) rest.push(figure('oldest waits', span(figures.oldest), 'At least so long'));
    if (pipeline.rate) rest.push(figure('at most', pipeline.rate, 'As the configuration says'));
    this.figures.replaceChildren(...rest);
  }
}

function block(kind, name, below, tone, href) {
  const inside = [el('b', { text: name }), el('span', { text: below })];
  return href ? el('a', { class: `block ${kind} ${tone}`, href, title: name }, inside) : el('div', { class: `block ${kind} ${tone}`, title: name }, inside);
}

/** What it takes from, and below it which kind that is and how much waits there. */
function origin(from, backlog) {
  const names = [...from.matchAll(/`([^`]*)`/g)].map(([, name]) => name);
  const [kind] = from.split(' `');
  const waiting = backlog === null || backlog === undefined ? '' : ` · ${count(backlog)} waiting`;
  return [from.startsWith('stream') ? names[0] : names.join(', ') || from, `${kind}${waiting}`];
}

/** A line with a tip, unless it goes on in a fork. */
function arrow(flows, forks) {
  return svg('svg', { class: `arrow ${flows ? 'flows' : ''}`, viewBox: '0 0 44 20', 'aria-hidden': 'true' },
    svg('path', { d: forks ? 'M2 10H44' : 'M2 10H36' }), forks ? null : svg('path', { class: 'tip', d: 'M34 4l8 6-8 6' }));
}

/** One line that becomes several. */
function fork(ends, flows) {
  const height = ends * 64;
  const lines = Array.from({ length: ends }, (_, index) => svg('path', { d: `M0 ${height / 2}C18 ${height / 2} 14 ${32 + 64 * index} 34 ${32 + 64 * index}` }));
  return svg('svg', { class: `fork ${flows ? 'flows' : ''}`, viewBox: `0 0 34 ${height}`, width: 34, height, 'aria-hidden': 'true' }, lines);
}

/** The last two minutes as a line. */
function spark(history) {
  const most = Math.max(...history, 1);
  const points = history.map((value, index) => `${(index * 100) / 59},${(27 - (value / most) * 25).toFixed(1)}`);
  return svg('svg', { class: 'spark', viewBox: '0 0 100 28', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    points.length > 1 ? svg('polyline', { points: points.join(' ') }) : null);
}
