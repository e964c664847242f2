/**
 * The Markdown that models write, as elements. Nothing is ever parsed as HTML, and nothing is fetched or
 * linked: what looks like a tag, a link or a picture is shown as its text.
 */

import { lexer } from './pkg/marked.js';
import { create } from './ui/dom.js';

/** @import { Token, Tokens } from './pkg/marked.js' */

/** @param {Token[] | undefined} tokens @param {string} text where there are none */
const inline = (tokens, text) => (tokens ? tokens.map(span) : [document.createTextNode(text)]);

/** @param {Token} token @returns {Node} */
function span(token) {
  switch (token.type) {
    case 'strong': return create('strong', {}, ...inline(token.tokens, token.text));
    case 'em': return create('em', {}, ...inline(token.tokens, token.text));
    case 'del': return create('del', {}, ...inline(token.tokens, token.text));
    case 'codespan': return create('code', { textContent: token.text });
    case 'br': return create('br', {});
    case 'text': case 'link': return create('span', {}, ...inline(token.tokens, token.text));
    case 'escape': return document.createTextNode(token.text);
    default: return document.createTextNode(token.raw);
  }
}

/** @param {Token} token @returns {Node} */
function block(token) {
  switch (token.type) {
    case 'paragraph': return create('p', {}, ...inline(token.tokens, token.text));
    case 'text': return create('span', {}, ...inline(token.tokens, token.text));
    // A heading of the answer is none of the page.
    case 'heading': return create('p', {}, create('strong', {}, ...inline(token.tokens, token.text)));
    case 'list': return list(/** @type {Tokens.List} */ (token));
    case 'code': return create('pre', {}, create('code', { textContent: token.text }));
    case 'blockquote': return create('blockquote', {}, ...blocks(token.tokens ?? []));
    case 'hr': return create('hr', {});
    case 'table': return table(/** @type {Tokens.Table} */ (token));
    default: return create('p', { textContent: token.raw });
  }
}

/** @param {Tokens.List} token */
function list({ ordered, start, items }) {
  const made = items.map(({ tokens }) => create('li', {}, ...blocks(tokens)));
  return ordered ? create('ol', { start: Number(start) || 1 }, ...made) : create('ul', {}, ...made);
}

/** @param {Tokens.Table} token */
function table({ header, rows }) {
  const row = (/** @type {'th' | 'td'} */ kind, /** @type {Tokens.TableCell[]} */ cells) =>
    create('tr', {}, ...cells.map(({ tokens, text }) => create(kind, {}, ...inline(tokens, text))));
  return create('table', {}, create('thead', {}, row('th', header)), create('tbody', {}, ...rows.map((cells) => row('td', cells))));
}

/** @param {Token[]} tokens */
const blocks = (tokens) => tokens.filter(({ type }) => type !== 'space').map(block);

/** A text that grows: what is complete stays as it is, so that it can be marked and read meanwhile. */
export class MarkdownView {
  /** @type {string[]} */
  #shown = [];

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  /** @param {string} text */
  show(text) {
    const tokens = lexer(text, { gfm: true, breaks: true }).filter(({ type }) => type !== 'space');
    let same = 0;
    while (same < this.#shown.length && this.#shown[same] === tokens[same]?.raw) same += 1;
    const { root } = this;
    while (root.childNodes.length > same) root.lastChild?.remove();
    root.append(...tokens.slice(same).map(block));
    this.#shown = tokens.map(({ raw }) => raw);
  }
}
