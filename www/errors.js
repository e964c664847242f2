/** From an error's kind to what the page says of it and offers as the next step. */

import { BUSY, CRASH, NO_MODEL, SETUP } from './engine-client.js';
import { asSentence, texts } from './texts.js';

/** @typedef {'retry' | 'load' | 'loadAgain' | 'onCpu' | 'reload' | 'otherModel'} NextStep */
/** @typedef {{ title: string, sentence: string, next?: NextStep }} Explanation */

const { notice } = texts;

/**
 * By the names that the engine gives its errors, which have sentences of their own.
 * @type {Record<string, { title: string, sentence?: string, next?: NextStep }>}
 */
const kinds = {
  [CRASH]: { title: notice.crashTitle, sentence: notice.crash, next: 'loadAgain' },
  [SETUP]: { title: notice.pageFile, sentence: notice.setup, next: 'reload' },
  Fetch: { title: notice.download, next: 'retry' },
  PageFile: { title: notice.pageFile, next: 'reload' },
  ModelList: { title: notice.pageFile },
  Checksum: { title: notice.damaged, next: 'retry' },
  FileChanged: { title: notice.download, next: 'retry' },
  DeviceLost: { title: notice.deviceLost, next: 'loadAgain' },
  NoAdapter: { title: notice.gpu, next: 'onCpu' },
  Gpu: { title: notice.gpu, next: 'onCpu' },
  GpuLimit: { title: notice.gpu, next: 'onCpu' },
  NotANumber: { title: notice.wrongNumbers, next: 'onCpu' },
  OutOfMemory: { title: notice.memory, next: 'loadAgain' },
  ContextFull: { title: notice.tooLong },
  InvalidRequest: { title: notice.request },
  BadArgument: { title: notice.request },
  [NO_MODEL]: { title: notice.noModelTitle, sentence: notice.noModel, next: 'load' },
  [BUSY]: { title: notice.busyTitle, sentence: notice.busy, next: 'retry' },
  Questions: { title: notice.questions },
  Pairs: { title: notice.examples },
  VectorFile: { title: notice.vector },
  VectorMismatch: { title: notice.vector },
};

const modelFile = [
  'NotGguf', 'Truncated', 'BadHeader', 'UnsupportedArchitecture', 'Metadata', 'MissingTensor',
  'UnknownTensor', 'TensorShape', 'TensorType', 'Tokenizer', 'ChatTemplate', 'Split',
];

/**
 * @param {unknown} error
 * @returns {Explanation | undefined} nothing for what the visitor ended
 */
export function explain(error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === 'Cancelled') return undefined;
  if (modelFile.includes(name)) return { title: notice.modelFile, sentence: asSentence(message), next: 'otherModel' };
  const { title, sentence = asSentence(message), next } = kinds[name] ?? { title: notice.other };
  return { title, sentence, next };
}

/** Whether the engine is of no use after an error of this kind. @param {unknown} error */
export const isFatal = (error) =>
  error instanceof Error && [CRASH, SETUP, 'DeviceLost', 'OutOfMemory'].includes(error.name);
