/**
 * What was asked and answered so far, once for each side: a follow-up goes on from the plain answers in
 * one lane and from the steered ones in the other. Earlier answers are read as text; the vector is added
 * at the end of the newest question alone.
 */

/** @import { ChatMessage } from './pkg/cache_steering.js' */

/** @typedef {{ question: string, plain: string, steered: string, style: string, strength: number }} Turn */

/**
 * What one side is asked.
 * @param {Turn[]} turns before
 * @param {'plain' | 'steered'} side
 * @param {string} question
 * @param {string} system prompt; where it is empty, the model's own is taken
 * @returns {ChatMessage[]}
 */
export const messagesOf = (turns, side, question, system) => [
  ...(system ? [{ role: /** @type {const} */ ('system'), content: system }] : []),
  ...turns.flatMap((turn) => [
    { role: /** @type {const} */ ('user'), content: turn.question },
    { role: /** @type {const} */ ('assistant'), content: turn[side] },
  ]),
  { role: 'user', content: question },
];
