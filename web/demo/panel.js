/** The side panel with its two pages, chat and people; on a phone it is a sheet from below. */

import { $ } from './dom.js';

const PAGES = ['chat', 'people'];

export class Panel {
  #page = null;
  #opener = null;
  #shown;

  /** @param {(page: 'chat' | 'people') => void} shown  called when a page comes into view */
  constructor(shown) {
    this.#shown = shown;
    for (const page of PAGES) {
      $(page).onclick = () => this.toggle(page);
      $(`tab-${page}`).onclick = () => this.open(page);
    }
    $('panel-close').onclick = () => this.close();
    document.querySelector('.tabs').onkeydown = ({ key }) => {
      if (key !== 'ArrowLeft' && key !== 'ArrowRight') return;
      const other = PAGES.find((page) => page !== this.#page);
      this.open(other);
      $(`tab-${other}`).focus();
    };
    $('panel').onkeydown = (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      this.close();
    };
    this.close();
  }

  /** @returns {'chat' | 'people' | null} what is in view */
  get page() {
    return this.#page;
  }

  toggle(page) {
    if (this.#page === page) this.close();
    else this.open(page);
  }

  open(page) {
    if (!this.#page) this.#opener = document.activeElement;
    this.#page = page;
    $('panel').hidden = false;
    for (const one of PAGES) {
      $(`${one}-page`).hidden = one !== page;
      $(`tab-${one}`).setAttribute('aria-selected', String(one === page));
      $(`tab-${one}`).tabIndex = one === page ? 0 : -1;
      $(one).setAttribute('aria-expanded', String(one === page));
    }
    if (page === 'chat') $('chat-input').focus();
    else $('tab-people').focus();
    this.#shown(page);
  }

  close() {
    const hadFocus = $('panel').contains(document.activeElement);
    if (hadFocus) (this.#opener?.isConnected ? this.#opener : $(this.#page ?? 'chat')).focus();
    this.#page = null;
    $('panel').hidden = true;
    for (const page of PAGES) $(page).setAttribute('aria-expanded', 'false');
  }
}
