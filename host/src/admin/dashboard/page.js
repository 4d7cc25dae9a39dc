// Elements made by hand: no text from outside is ever read as HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** An element. `about` holds properties (class, text), `on…` listeners and attributes. */
export function el(name, about = {}, ...children) {
  return fill(document.createElement(name), about, children);
}

/** The same of a drawing. */
export function svg(name, about = {}, ...children) {
  return fill(document.createElementNS(SVG, name), about, children);
}

function fill(node, about, children) {
  for (const [key, value] of Object.entries(about)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'text') node.textContent = value;
    else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Says something that has happened. */
export function toast(text, kind = 'good') {
  const box = el('div', { class: `toast ${kind}`, text });
  document.getElementById('toasts').append(box);
  setTimeout(() => box.remove(), kind === 'bad' ? 9000 : 4000);
}

/** A button that does something that may fail, and cannot be pressed meanwhile. */
export function button(text, about, act) {
  const press = async () => {
    const was = made.textContent;
    made.disabled = true;
    if (about.busy) made.textContent = about.busy;
    try {
      await act();
    } catch (error) {
      toast(error.message, 'bad');
    } finally {
      made.disabled = Boolean(about.disabled);
      made.textContent = was;
    }
  };
  const made = el('button', { type: 'button', text, class: about.class, title: about.title, disabled: about.disabled, 'aria-label': about.label, onclick: press });
  return made;
}

/** Asks before something that cannot be taken back. */
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const dialog = el('dialog', { class: 'ask', onclose: () => { dialog.remove(); resolve(dialog.returnValue === 'yes'); } },
      el('p', { text: question }),
      el('form', { method: 'dialog', class: 'row end' },
        el('button', { value: 'no', text: 'Cancel' }),
        el('button', { value: 'yes', class: 'danger', text: yes })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Something in one word, with a colour that is never alone in saying it. */
export function pill(text, tone) {
  return el('span', { class: `pill ${tone}`, text });
}

/** What stands in the place of a list that is empty. */
export function empty(title, hint) {
  return el('div', { class: 'empty' }, el('h2', { text: title }), el('p', { text: hint }));
}
