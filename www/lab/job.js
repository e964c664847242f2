/** Long work behind a form: its button starts and stops it, and a line says how far it is. */

import { keepAnswer, keptAnswers } from '../answer-store.js';
import { cancelled, noModel } from '../engine-client.js';
import { explain } from '../errors.js';
import { texts as pageTexts } from '../texts.js';
import { element } from '../ui/dom.js';
import { texts } from './texts.js';

/**
 * @import { EngineClient } from '../engine-client.js'
 * @import { EngineInfo, EvaluateRequest, EvaluateResult, ExtractProgress } from '../pkg/cache_steering.js'
 * @import { Session } from '../session.js'
 */

/** @typedef {{ client: EngineClient, info: EngineInfo }} Engine */

/** Answers before there is an idea of how long one takes. */
const ENOUGH = 4;

/**
 * @param {string} name of the part of the page
 * @param {Session} session
 * @param {(error: unknown, again: () => void) => void} complain
 * @param {(engine: Engine) => Promise<string>} work gives what to say in the end
 */
export function createJob(name, session, complain, work) {
  const root = element(name, HTMLElement);
  const form = element(`${name}-form`, HTMLFormElement);
  const button = element(`${name}-run`, HTMLButtonElement);
  const bar = element(`${name}-progress`, HTMLProgressElement);
  const status = element(`${name}-status`, HTMLParagraphElement);
  const label = button.textContent;
  let busy = false;
  let stopping = false;
  /** When the first new answer was begun, and how many were there before. @type {{ at: number, done: number | undefined }} */
  let begun = { at: 0, done: undefined };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!busy) {
      void run();
      return;
    }
    stopping = true;
    button.textContent = pageTexts.stopping;
    session.client?.stop();
  });

  async function run() {
    const { client, info } = session;
    if (!client || !info) {
      complain(noModel(), () => void run());
      return;
    }
    show(true);
    begun = { at: performance.now(), done: undefined };
    say(texts.job.begun);
    try {
      say(await session.work(() => work({ client, info })));
    } catch (error) {
      say(explain(error) ? '' : texts.job.stopped);
      complain(error, () => void run());
    }
    show(false);
  }

  /** How far it is; nobody wants to hear each number. @param {string} words */
  function count(words) {
    status.setAttribute('aria-live', 'off');
    status.textContent = words;
  }

  /** @param {string} words */
  function say(words) {
    status.setAttribute('aria-live', 'polite');
    status.textContent = words;
  }

  /** @param {boolean} now */
  function show(now) {
    busy = now;
    stopping = false;
    root.dataset.state = now ? 'busy' : 'idle';
    button.textContent = now ? pageTexts.stop : label;
    bar.value = 0;
  }

  /** @param {ExtractProgress} progress of what comes before the answers */
  function preparing({ done, total }) {
    bar.value = done / total;
    count(texts.job.preparing(done, total));
    begun.at = performance.now();
  }

  /** @param {number} done @param {number} total */
  function answered(done, total) {
    bar.value = done / total;
    begun.done ??= done - 1;
    const made = done - begun.done;
    const left = made < ENOUGH ? undefined : ((performance.now() - begun.at) / made) * ((total - done) / 1000);
    count(texts.job.progress(done, total, left));
  }

  return {
    form,
    inputs: /** @type {Record<string, HTMLInputElement>} */ (/** @type {unknown} */ (form.elements)),
    preparing,

    /**
     * Has questions answered. Answers from before are taken over, and new ones are kept.
     * @param {Engine} engine
     * @param {EvaluateRequest} request
     * @param {{ before: number, total: number }} [whole] where this is a part of the work: its answers before, and in all
     * @returns {Promise<EvaluateResult>}
     */
    async evaluate({ client, info: { model: { sha256 } } }, request, whole) {
      const answers = await keptAnswers(sha256);
      // Between two parts of the work, a stop finds nothing that it could end.
      if (stopping) throw cancelled();
      return client.evaluate({ ...request, answers }, (progress) => {
        if ('preparing' in progress) {
          preparing(progress.preparing);
          return;
        }
        answered((whole?.before ?? 0) + progress.done, whole?.total ?? progress.total);
        void keepAnswer(sha256, progress.answer);
      });
    },
  };
}
