/** Small helpers for building the page's elements; text is always set as text, never as markup. */

/** @param {string} id @returns {HTMLElement} */
export const $ = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]  `class`, `dataset` and `aria-…` are attributes, the others properties
 * @param {...(Node | string | null)} children
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name === 'class' || name === 'role' || name.startsWith('aria-')) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** An icon of the sprite in index.html. @param {string} name @param {string} [label] spoken; without it, decoration */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  if (label) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', label);
  } else {
    svg.setAttribute('aria-hidden', 'true');
  }
  return svg;
}

/** Show another icon in a button that has one. */
export function setIcon(button, name) {
  button.querySelector('use').setAttribute('href', `#i-${name}`);
}

/** Up to two letters for a face. @param {string} name */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join('') || '?';
}

/** A colour that stays with a person. @param {string} identity @returns {number} degrees */
export function hue(identity) {
  let sum = 7;
  for (const letter of identity) sum = (sum * 31 + letter.codePointAt(0)) % 3600;
  return sum / 10;
}

/** A round face with initials. */
export function avatar(name, identity) {
  const face = h('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(name));
  face.style.setProperty('--hue', hue(identity));
  return face;
}

/** localStorage, where it is allowed. */
export const memory = {
  get(key) {
    try {
      return localStorage.getItem(`auralink.${key}`) ?? '';
    } catch {
      return '';
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`auralink.${key}`, value);
    } catch {
      // Private windows forbid it: then nothing is remembered.
    }
  },
};
