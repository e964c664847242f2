/**
 * What was asked and answered so far, once for each side: a follow-up goes on from the plain answers in
 * one lane and from the steered ones in the other. Earlier answers are read as text; the vector is added
 * at the end of the newest question alone.
 */

/** @import { ChatMessage } from './pkg/cache_steering.js' */

/** @typedef {{ question: string, plain: string, steered: string, style: string, strength: number }} Turn */

export class Conversation {
  /** Those before the newest question. @type {Turn[]} */
  turns = [];

  /**
   * What one side is asked.
   * @param {'plain' | 'steered'} side
   * @param {string} question
   * @param {string} system prompt; where it is empty, the model's own is taken
   * @returns {ChatMessage[]}
   */
  messages(side, question, system) {
    return [
      ...(system ? [{ role: /** @type {const} */ ('system'), content: system }] : []),
      ...this.turns.flatMap((turn) => [
        { role: /** @type {const} */ ('user'), content: turn.question },
        { role: /** @type {const} */ ('assistant'), content: turn[side] },
      ]),
      { role: 'user', content: question },
    ];
  }
}
