/** What the visitor chose, kept for the next visit. */

const KEY = 'cache-steering.settings';

/** @typedef {{ preset?: string, strength?: number, view?: string, fields?: Record<string, string> }} Settings */

/** @param {Settings} settings */
export function keepSettings(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing: then they are for this visit.
  }
}

/** @returns {Settings} */
export function keptSettings() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return typeof kept === 'object' && kept ? kept : {};
  } catch {
    return {};
  }
}

/** Keeps what is written while the tab is open, should it be loaded again. @param {string} question */
export function keepQuestion(question) {
  try {
    sessionStorage.setItem(KEY, question);
  } catch {
    // As above.
  }
}

export function keptQuestion() {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export function forgetSettings() {
  try {
    localStorage.removeItem(KEY);
    sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}
