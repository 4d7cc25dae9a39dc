// The page: which view is shown, how the node is, and what this caller may do.

import { adoptToken, read, setToken, text, Refused } from './node.js';
import { Figures, span } from './figures.js';
import { el, toast } from './page.js';
import * as pipelines from './pipelines.js';
import * as plugins from './plugins.js';
import * as letters from './letters.js';
import * as endpoints from './endpoints.js';
import * as tap from './tap.js';

const VIEWS = { pipelines, plugins, dead: letters, endpoints, tap };
const TITLES = { pipelines: 'Pipelines', plugins: 'Plugins', dead: 'Dead letters', endpoints: 'Endpoints', tap: 'Tap' };
const EVERY = 2000;

/** What all views see. */
const page = { status: null, figures: new Figures(), role: 'nobody', asks: false, refresh: look, may: (role) => RANKS.indexOf(page.role) >= RANKS.indexOf(role) };
const RANKS = ['nobody', 'look', 'read', 'full'];

let shown = null;
let timer = null;
let looking = null;
/** While something is pressed, nothing is drawn anew, or the click would be lost. */
let pressed = false;

function wanted() {
  const [name, query] = location.hash.slice(1).split('?');
  return [VIEWS[name] ? name : 'pipelines', new URLSearchParams(query)];
}

/** The tabs are made once, so that none is replaced under a finger. */
function tabs() {
  const [current] = wanted();
  const bar = document.getElementById('tabs');
  if (!bar.childElementCount) {
    bar.append(...Object.keys(VIEWS).map((name, index) => el('a', { href: `#${name}`, 'aria-keyshortcuts': String(index + 1), text: TITLES[name] })));
  }
  for (const tab of bar.children) {
    if (tab.hash === `#${current}`) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  document.title = `${TITLES[current]} · Gristmill`;
}

function show() {
  tabs();
  if (!page.status) return;
  const [name, query] = wanted();
  shown?.close?.();
  const root = document.getElementById('view');
  root.replaceChildren();
  shown = VIEWS[name].open(root, page, query);
}

/** Looks at the node, once at a time. */
function look() {
  looking ??= (async () => {
    try {
      const [status, figures, who] = await Promise.all([read('status'), text('metrics'), read('api/whoami')]);
      page.figures.add(figures);
      Object.assign(page, { role: who.role, asks: who.asks });
      const first = !page.status;
      page.status = status;
      told();
      if (first) show();
      else if (!pressed) shown?.update?.();
    } catch (error) {
      trouble(error);
    } finally {
      looking = null;
    }
  })();
  return looking;
}

async function beat() {
  clearTimeout(timer);
  if (!document.hidden && !(document.querySelector('.login'))) await look();
  timer = setTimeout(beat, EVERY);
}

function told() {
  const { status } = page;
  const banner = document.getElementById('banner');
  const notice = status.ending ? 'This node is ending: it takes nothing new.'
    : page.role === 'look' ? 'Looking only. With a file of tokens, `[admin] tokens`, this page also shows messages and steers the node.' : '';
  banner.hidden = !notice;
  banner.className = `banner ${status.ending ? 'warn' : 'note'}`;
  banner.textContent = notice;
  const up = span(Math.max(0, Math.round(Date.now() / 1000 - status.started)));
  document.getElementById('node').replaceChildren(
    el('span', { class: `dot ${status.ending ? 'warn' : 'good'}`, 'aria-hidden': 'true' }),
    el('span', { text: status.ending ? 'ending' : `up ${up}`, title: `${status.node}, version ${status.version}` }));
  const rights = { nobody: '', look: 'You may look', read: 'You may read', full: 'You may do everything' }[page.role];
  document.getElementById('rights').replaceChildren(rights, page.asks ? el('button', { class: 'link', type: 'button', text: 'Forget the token', onclick: forget }) : '');
}

function forget() {
  setToken('');
  page.status = null;
  look();
}

function trouble(error) {
  if (error instanceof Refused && error.status === 401) return login();
  const banner = document.getElementById('banner');
  banner.hidden = false;
  banner.className = 'banner bad';
  const since = page.status ? ' What is shown is what it said last.' : '';
  banner.textContent = `${error.message}${since}`;
  document.getElementById('node').replaceChildren(el('span', { class: 'dot bad', 'aria-hidden': 'true' }), el('span', { text: 'no answer' }));
}

/** Asks for a token. */
function login() {
  if (document.querySelector('.login')) return;
  const field = el('input', { id: 'token', type: 'password', autocomplete: 'off', required: true, spellcheck: 'false' });
  const enter = async (event) => {
    event.preventDefault();
    setToken(field.value);
    document.getElementById('view').replaceChildren();
    page.status = null;
    await look();
    if (page.status) toast('Welcome.');
    else toast('The node does not know this token.', 'bad');
  };
  document.getElementById('banner').hidden = true;
  document.getElementById('view').replaceChildren(el('form', { class: 'login card', onsubmit: enter },
    el('h1', { text: 'Which token?' }),
    el('p', { text: 'This node asks for one of the tokens in the file that `[admin] tokens` names. On its own machine, `gristmill dashboard` prints an address with one in it.' }),
    el('label', { for: 'token', text: 'Token' }), field,
    el('div', { class: 'row end' }, el('button', { class: 'primary', text: 'Open' }))));
  field.focus();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog')) return;
  const name = Object.keys(VIEWS)[Number(event.key) - 1];
  if (name) location.hash = name;
  else if (event.key === '/') {
    event.preventDefault();
    if (wanted()[0] !== 'dead') location.hash = 'dead';
    setTimeout(() => document.getElementById('search')?.focus(), 50);
  }
}

adoptToken();
addEventListener('hashchange', () => { adoptToken(); show(); });
addEventListener('keydown', keys);
addEventListener('pointerdown', () => { pressed = true; });
for (const name of ['pointerup', 'pointercancel', 'blur']) addEventListener(name, () => { pressed = false; });
document.addEventListener('visibilitychange', () => { if (!document.hidden) beat(); });
tabs();
beat();

