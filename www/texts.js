/**
 * Every sentence that changes while the page is used, but for those of the Lab (lab/texts.js). What never
 * changes stands in index.html.
 *
 * @import { EngineInfo, GenerateResult, LaneResult, StopReason } from './pkg/cache_steering.js'
 * @import { Run } from './playground.js'
 * @import { ModelEntry, Preset, SourceEvent } from './protocol.js'
 * @import { Prompts } from './ui/stage.js'
 */

import * as format from './format.js';

export const examples = [
  'Why is the sky blue?',
  'A baker makes 12 rolls an hour. How many in 5 hours?',
  'How do I keep bread fresh?',
  'All metals conduct heat. Copper is a metal. What follows?',
  'What is a rainbow?',
  'Why does ice float on water?',
];

/** @type {Record<StopReason, string>} */
const endings = {
  end_of_text: 'complete',
  max_tokens: 'cut off',
  context_full: 'cut off: memory full',
  repeating: 'stopped: it repeats itself',
  cancelled: 'stopped',
};

/** The sentence that the engine gives, as the rest of another. @param {string} reason */
const continued = (reason) => reason.charAt(0).toLowerCase() + reason.slice(1);

export const texts = {
  composer: {
    placeholder: 'Ask something a person would explain in a few steps',
    /** @param {string} view */
    view: (view) => `Answers: ${view}`,
    followUp: 'Go on from both answers: each side remembers its own',
  },
  ask: 'Ask',
  stop: 'Stop',
  stopping: 'Stopping',

  missing: {
    wasm: 'it cannot run WebAssembly',
    simd: 'its WebAssembly has no SIMD',
    workers: 'it has no module workers',
  },

  model: {
    /** @param {ModelEntry} model @param {{ size: number, verified?: string } | undefined} stored @param {string} why */
    idleDetail: (model, stored, why) => (!navigator.onLine && !stored?.verified && !model.own ? texts.model.offline : [
      stored?.verified ? 'Stored on this device: no download.'
        : stored ? `${format.megabytes(stored.size)}${model.bytes ? ` of ${format.megabytes(model.bytes)}` : ''} MB are here already; the download goes on from there.`
        : model.own && model.bytes ? `${format.megabytes(model.bytes)} MB, read from your disk each time.`
        : `${model.bytes ? `${format.megabytes(model.bytes)} MB, fetched` : 'Fetched'} when you ask a question or press the button, kept in this browser, and run here: what you write goes nowhere.`,
      why,
    ].filter(Boolean).join(' ')),
    /** @param {ModelEntry} model @param {{ size: number, verified?: string } | undefined} stored */
    load: (model, stored) =>
      stored && !stored.verified ? 'Resume the download' : stored || !model.bytes ? 'Run it on your device' : `Run it on your device (${format.roundMegabytes(model.bytes)} MB)`,
    cancel: 'Cancel',
    pause: 'Pause',
    /** @param {ModelEntry} model */
    loading: (model) => `Loading ${model.label}`,
    connecting: 'Starting the engine and asking for the file',
    /** @param {number} done @param {number | undefined} total @param {number} perSecond */
    progress: (done, total, perSecond) => {
      const left = total && perSecond > 0 ? (total - done) / perSecond : undefined;
      return [
        total ? `${Math.floor((100 * done) / total)} %` : '',
        total ? `${format.megabytes(done)} of ${format.megabytes(total)} MB` : `${format.megabytes(done)} MB`,
        perSecond > 0 ? `${format.megabytes(perSecond)} MB/s` : '',
        left !== undefined && left > 2 ? `${format.duration(left)} left` : '',
      ].filter(Boolean).join('  ·  ');
    },
    unkept: 'This browser has no room to keep the model, so it is here this time only.',
    /** Where the bytes come from. @param {Exclude<SourceEvent, { source: 'unstored' }>} event @returns {string} */
    source: (event) => {
      switch (event.source) {
        case 'stored': return 'Reading what is stored on this device';
        case 'network': return event.skip > 0 ? `${event.host} cannot go on in the middle: the first ${format.megabytes(event.skip)} MB come again` : `Downloading from ${event.host}`;
        case 'retry': return `Interrupted: ${event.reason}. Next try in ${format.duration(event.seconds)}`;
        case 'offline': return 'There is no network. The download goes on when there is one';
        case 'waiting': return 'Another tab uses this file; this one waits for it';
        case 'again': return 'What came cannot be used, so it is fetched once more';
      }
    },
    preparing: 'All bytes are here. Making the model ready.',
    /** @param {ModelEntry} model */
    ready: (model) => `${model.label}, ready`,
    /** @param {EngineInfo} info */
    runsOn: (info) => `Runs on ${continued(info.reason)}${info.backend === 'gpu' && info.software ? ' It computes in software, which is slow: the CPU is quicker.' : ''}`,
    offline: 'There is no network, and this model is not stored here yet: the recordings above still play, and the download begins once there is one.',
  },

  models: {
    /** @param {ModelEntry} model */
    about: (model) => [
      model.about,
      model.bytes ? `${format.roundMegabytes(model.bytes)} MB` : undefined,
      model.licence,
    ].filter(Boolean).join('  ·  '),
    reasons: {
      /** @param {string} gpu */
      best: (gpu) => `Recommended for this device: the first one, on its GPU${gpu ? ` (${gpu})` : ''}.`,
      onCpu: 'Recommended for this device: the smallest one. You chose the CPU, where only a small model keeps up with reading.',
      noGpu: 'Recommended for this device: the smallest one. It runs on the CPU here, because this browser gives pages no graphics device (WebGPU). A newer browser may, or another one.',
      softwareGpu: 'Recommended for this device: the smallest one. It runs on the CPU here, because this browser’s graphics device computes in software, which is slower. Turning on hardware acceleration in the browser’s settings may help.',
      memory: 'Recommended for this device: the largest one that its memory holds.',
      savesData: 'Recommended for this connection: the smallest download.',
      slow: 'Recommended after the benchmark: a smaller one, which this device runs at the speed of reading.',
      nothingFits: 'By what the browser says of its memory, this device may not hold any of these. The smallest one is the one to try.',
    },
    recommended: 'Recommended for this device',
    /** @param {ModelEntry} model */
    source: ({ label }) => `About ${label}`,
    /** @param {boolean} onGpu @param {number | undefined} needs */
    memory: (onGpu, needs) => needs === undefined ? '' : `Takes about ${format.size(needs)} of memory on the ${onGpu ? 'GPU' : 'CPU'}`,
    /** @param {number | undefined} needs @param {number | undefined} has */
    tooLarge: (needs, has) => `Takes about ${format.size(needs ?? 0)} of memory: more than a page should take ${has ? `of the ${format.count(Math.round(has / 2 ** 30))} GB that this device says it has` : 'on a phone'}`,
    noRoom: 'There is no room to keep it: it would be downloaded at each visit',
    here: 'Stored on this device',
    /** @param {number} size */
    partHere: (size) => `${format.megabytes(size)} MB of it are here`,
    vectors: 'Its vectors are made in this browser, once for each style',
    noAddress: 'That is no address of a GGUF file: it begins with https:// and ends with .gguf. On the page of a model, open the list of its files and copy the address of one.',
    /** @param {string} problem */
    noList: (problem) => `Its list of models, models.json, cannot be used: ${problem}.`,
    noFile: 'That is no GGUF file: its name ends with .gguf.',
    /** @param {string[]} hosts */
    mayNotConnect: (hosts) => `This site may fetch models from itself and from ${hosts.join(', ') || 'nowhere else'} only. Download the file and open it from your disk instead.`,
    /** @param {string} label */
    added: (label) => `${label} is in the list and chosen.`,
    /** @param {string} label */
    addedOnly: (label) => `${label} is in the list. It can be chosen when the answers are complete.`,
    delete: 'Delete',
    /** @param {string} label */
    deleteLabel: (label) => `Delete ${label} from this device`,
    /** @param {string} label */
    deleted: (label) => `${label} is deleted from this device.`,
    inUse: 'It is in use, here or in another tab: close that first.',
    /** @param {{ label: string, size: number, bytes?: number, verified?: string }} stored */
    stored: ({ label, size, bytes, verified }) => `${label}: ${format.megabytes(size)} MB${verified ? '' : bytes ? ` of ${format.megabytes(bytes)} MB, unfinished` : ', unfinished'}`,
    nothingStored: 'Nothing is stored yet. A model that was loaded once is kept, and opened without a network next time.',
    /** @param {number} room */
    room: (room) => `The browser has room for about ${format.size(room)} more.`,
    forget: 'Take it out of the list',
  },

  strength: {
    /** @param {number} value @param {Preset} preset */
    value: (value, { recommended: { values: recommended }, isGuess }) => {
      if (value === 0) return 'off: nothing is added';
      const shown = format.strength(value);
      if (value === recommended) return isGuess ? `${shown}, a first guess` : `${shown}, as recommended`;
      return value / recommended > 1.5 ? `${shown}, strong: the text may fall apart` : shown;
    },
    off: 'off',
    recommended: 'recommended',
    guess: 'first guess',
    find: 'Find this style’s lowest strength',
    /** @param {number} done @param {number} total */
    finding: (done, total) => `Stop: ${format.count(done)} of ${format.count(total)} tried`,
  },

  advanced: {
    turnedLayers: 'The last steered layer comes before the first one.',
    /** @param {string} name @param {string} value */
    change: (name, value) => `${name}: ${value}`,
    on: 'yes',
    off: 'no',
  },

  memory: {
    labels: {
      /** @param {number} plain @param {number} steered tokens of each side's */
      prompt: (plain, steered) => (steered === 0 ? 'the prompt' : `the prompt: ${texts.memory.both(plain, steered)} tokens`),
      write: '▾ added here, once',
    },
    /** @param {number} plain @param {number} steered */
    both: (plain, steered) => (plain === steered ? format.count(plain) : `${format.count(plain)} and ${format.count(steered)}`),
    empty: 'Here you will see the model’s memory of your prompt: a column for each token, a row for each layer.',
    /** @param {number} tokens */
    reading: (tokens) => `Reading your prompt: ${format.count(tokens)} tokens, the chat format around the question included.`,
    /**
     * The parts before, in, and after the emphasis.
     * @param {Prompts} prompts @param {string} what @param {number} layers @param {boolean} ofMany whether there are several steered answers
     * @returns {[string, string, string]}
     */
    steered: ({ plain, steered }, what, layers, ofMany) => [
      `${plain === steered ? `The prompt filled ${format.count(plain)} slots of memory`
        : `The conversation filled ${format.count(plain)} slots of memory for the plain side and ${format.count(steered)} for the steered one`}. ${
        ofMany ? 'For each steered answer' : 'For the steered answer only'}, `,
      what,
      ` was added to the last one: once, in ${layers === 1 ? 'one layer' : `${layers} layers`}.`,
    ],
    /** @param {string} label @param {number} strength */
    what: (label, strength) => `${label} × ${format.strength(strength)}`,
    /** What is added for each of several answers. @param {boolean} isOneStyle @param {string} label */
    whats: (isOneStyle, label) => (isOneStyle ? `${label} in its own strength` : 'its own style'),
    /** @param {string} largest @param {number} layer */
    measured: (largest, layer) => ` At the most, in layer ${layer}, what was added is ${largest} times as long as what was there.`,
    /** @param {number} tokens */
    plain: (tokens) => `The prompt filled ${format.count(tokens)} slots of memory. The strength is off: nothing was added, and both answers are the same.`,
  },

  recording: {
    tag: 'Recording',
    /** @param {string} question @param {string} label @param {number} strength */
    caption: (question, label, strength) =>
      `“${question}” SmolLM2 135M, plain and with ${label} × ${format.strength(strength)}. Recorded, not computed here; ask something to see it live.`,
  },

  pane: {
    empty: 'The answer will appear here.',
    notAsked: 'Not asked: you stopped before the model was there. The question is still in its box.',
    waitsForModel: 'Your question is kept until the model is loaded.',
    reading: 'Reading the prompt',
    copy: 'Copy',
    copied: 'Copied',
    copyByHand: 'Marked: copy it by hand',
    /** @param {number} penalty */
    plainNote: (penalty) => `nothing added${texts.pane.penalty(penalty)}`,
    /** @param {string} label @param {number} strength @param {number} penalty */
    steeredNote: (label, strength, penalty) =>
      strength === 0 ? 'strength off: the same as plain' : `${label} × ${format.strength(strength)}, added once${texts.pane.penalty(penalty)}`,
    /** Of repetition, where there is one. @param {number} penalty */
    penalty: (penalty) => (penalty === 1 ? '' : `; repetition penalty ${format.strength(penalty)}`),
    firstToken: 'to first token',
    perSecond: 'tokens/s',
    /** @param {number} n @param {StopReason} [reason] */
    tokens: (n, reason) => (n === 1 ? 'token' : 'tokens') + (reason ? `, ${endings[reason]}` : ''),
    nothing: 'The model ended its answer at once.',
    stoppedEarly: 'Stopped before the first word.',
    failed: 'No answer came of it. What went wrong is said below.',
  },

  share: {
    /** @param {boolean} isOwn whether the style is the visitor's own @param {boolean} isFollowUp */
    linkCopied: (isOwn, isFollowUp) => [
      `The link is on the clipboard. It brings the ${isFollowUp ? 'last question' : 'question'} and the settings, not the answers${isFollowUp ? ' and not what was said before' : ''}.`,
      isOwn ? 'A style of your own stays here: export its vector to share it.' : '',
    ].filter(Boolean).join(' '),
    /** @param {boolean} isFollowUp */
    sameAgain: (isFollowUp) => (isFollowUp ? 'The last question alone, with the same settings' : 'The same question and settings'),
    inBrowser: 'in the browser, with one write to its KV cache.',
    textCopied: 'The conversation is on the clipboard, as Markdown.',
    saved: 'The conversation is saved, with its settings and figures.',
    openedTitle: 'A question was shared with you',
    /** @param {string[]} settings in words @param {string} model @param {boolean} isLoaded */
    opened: (settings, model, isLoaded) =>
      `It stands below, with the settings that it was asked with: ${settings.join('; ')}. ${isLoaded ? 'Press' : 'Nothing has been loaded yet: press'} Ask, and ${model} answers it on your device.`,
  },

  asked: {
    /** @param {string} question @param {number} turns */
    line: (question, turns) => `${turns === 0 ? 'You asked' : 'You went on'}: ${question}`,
    same: 'The same answers as before: at temperature 0 there is no chance in them. “Advanced” has the temperature.',
  },

  lanes: {
    plain: 'Plain',
    steered: 'Steered',
    /** @param {number} strength */
    strength: (strength) => `Strength ${format.strength(strength)}`,
    /** @param {string} title */
    label: (title) => `${title}: answer`,
    /** @param {string} title */
    copy: (title) => `Copy the answer: ${title}`,
    use: 'Use this',
    /** @param {string} title */
    useLabel: (title) => `Use this: ${title}`,
  },

  advice: {
    /** @param {EngineInfo['backend']} backend */
    plainNonsense: (backend) => `The plain answer makes no sense, so steering is not to blame. A high temperature does that; if it is 0, ${
      backend === 'gpu' ? 'this device may compute wrongly: choose “Run it on: the CPU” under “Choose a model”, and ask again.' : 'another model may do better.'}`,
    plainCircles: 'The plain answer went round in circles, which a small model does by itself: steering is not to blame. Another question, or a temperature above 0, helps.',
    tooStrong: 'The steered answer fell apart: that much is too strong here. Move the slider towards the recommended strength.',
    circles: 'The steered answer went round in circles. A small model does; a lower strength, a higher repetition penalty or another question helps.',
    madeRoom: 'Other work needs the model, and this answer was stopped for it.',
    wasHidden: 'This tab was in the background meanwhile. Browsers slow such tabs down: the answers are the same, the times are not this device’s.',
  },

  numbers: {
    names: ['Prompt', 'Prefill', 'First token', 'Steering write', 'Decode', 'Memory', 'Runs on'],
    /**
     * Name, figure, and what it means.
     * @param {GenerateResult} result @param {(LaneResult | undefined)[]} answers all that are shown
     * @param {EngineInfo} info @param {boolean} wasHidden
     * @returns {[string, string, string][]}
     */
    rows: ({ lanes, timings, memory }, answers, { backend, device, software }, wasHidden) => {
      const { prefillMs, prefillTokens, steeringMs, decodeMs, decodeSteps, firstTokenMs } = timings;
      const perToken = decodeSteps > 0 ? decodeMs / decodeSteps : 0;
      const away = wasHidden ? ', tab in the background' : '';
      const written = lanes.some(({ write }) => write);
      const decoded = perToken > 0;
      const atOnce = lanes.length === 1 ? 'one token' : `${lanes.length} tokens at once`;
      return /** @type {[string, string][]} */ ([
        [texts.memory.both(answers[0]?.promptTokens ?? 0, answers.at(-1)?.promptTokens ?? 0), 'tokens'],
        prefillTokens === 0 ? ['none', 'the prompt was in memory already'] : [format.milliseconds(prefillMs), `for ${format.count(prefillTokens)} tokens${away}`],
        [format.milliseconds(firstTokenMs), `after the request${away}`],
        written ? [steeringMs > 0 ? format.microseconds(1000 * steeringMs) : 'under 1 ms', decoded ? `once, beside ${format.milliseconds(perToken)} for every token` : 'once'] : ['none', 'the strength is off'],
        decoded ? [format.rate(1000 / perToken), `steps/s, ${atOnce} a step${away}`] : ['none', ''],
        [format.size(memory.gpu + memory.wasm), memory.gpu > 0 ? `${format.size(memory.gpu)} of it on the GPU` : 'of RAM'],
        backend === 'gpu' ? ['GPU', device + (software ? ', computes in software' : '')] : ['CPU', device.replace('CPU, ', '')],
      ]).map(([figure, meaning], i) => [texts.numbers.names[i], figure, meaning]);
    },
  },

  inside: {
    look: 'Look inside',
    hint: 'Ask something with steering on: at a strength other than 0.',
    ofMany: 'It looks into one steered answer: press “Use this” on one of them, or ask for two answers.',
    ready: 'What is inside is here: the word where steering did most is chosen.',
    /** @param {number} position @param {number} layers @param {number} heads @param {number} largest */
    write: (position, layers, heads, largest) =>
      `Slot ${format.count(position + 1)} of the memory, ${layers} layers by ${heads} heads: layers across, the first on the left, heads down. The stronger the colour, the longer what was added is beside what was there; the strongest is ${format.strength(largest)} times as long.`,
    /** @param {string} what @param {number} largest */
    map: (what, largest) => `Heat map of the change of the ${what}, by layer and head; at the most ${format.strength(largest)} times the length of what was there.`,
    /** @param {number} layer @param {number} head @param {number} change */
    cell: (layer, head, change) => `layer ${layer}, head ${head}: ${format.strength(change)} ×`,
    /** @param {number} heads @returns {string[]} of the table of the write */
    columns: (heads) => ['Layer', ...['Values', 'Keys'].flatMap((what) => Array.from({ length: heads }, (_, head) => `${what}, head ${head}`))],
    /** @param {string} first @param {number} kl */
    words: (first, kl) =>
      `Underlined is where steering moved what comes next. It did most at “${first}” (a KL divergence of ${format.strength(kl)} nats; 0 is the same); the rest follows from the words that are there by then. Choose a word to see what else could have come.`,
    /** @param {string} text @param {number} kl */
    candidates: (text, kl) => `In place of “${text}”: a KL divergence of ${format.strength(kl)} nats between the two`,
    /** @param {number} position @param {number} largest */
    attention: (position, largest) =>
      `What share of its attention each layer gave to slot ${format.count(position + 1)} as it chose a word: words across, layers down, the first on top. The strongest is ${texts.inside.percent(largest)}. Click on a column to choose its word.`,
    /** @param {'plain' | 'steered'} side @param {number} largest @param {string} text @param {number} layer */
    attentionMap: (side, largest, text, layer) =>
      `Heat map of the attention to the slot ${side === 'plain' ? 'without' : 'with'} steering, by word and layer; at the most ${texts.inside.percent(largest)}, for “${text}” in layer ${layer}.`,
    /** @param {string} text @param {number} steered @param {number} plain @param {number} layer @param {number} largest */
    attentionOf: (text, steered, plain, layer, largest) =>
      `For “${text}”: ${texts.inside.percent(steered)} with steering, ${texts.inside.percent(plain)} without, on average over the layers; with steering the most in layer ${layer}, ${texts.inside.percent(largest)}.`,
    /** @param {string} text A token, with what cannot be seen made visible. */
    token: (text) => text.replace(/\n/g, '⏎').replace(/^ /, '·') || '∅',
    /** @param {number} p */
    percent: (p) => `${p < 0.0995 ? (100 * p).toFixed(1) : Math.round(100 * p)} %`,
  },

  how: {
    /** @param {EngineInfo} info @param {Run} run */
    memory: ({ model: { layers, kvHeads, headDim } }, { results }) => {
      const tokens = results.at(-1)?.promptTokens ?? 0;
      const numbers = 2 * tokens * layers * kvHeads * headDim;
      return `Yours: ${format.count(tokens)} tokens × ${layers} layers × ${kvHeads} heads × ${headDim} numbers, twice: ${format.count(numbers)} numbers.`;
    },
    /** @param {EngineInfo} _ @param {Run} run */
    pairs: (_, { lanes, vector }) => {
      const label = lanes[lanes.length - 1].preset.label;
      return vector?.pairs ? `For “${label}”: ${format.count(vector.pairs)} pairs, written for it.` : '';
    },
    /** @param {EngineInfo} info */
    vector: ({ model: { layers, kvHeads, headDim } }) => {
      const numbers = 2 * layers * kvHeads * headDim;
      return `For this model: ${format.count(numbers)} numbers, ${format.count(Math.round((4 * numbers) / 1000))} kB, whatever the length of the prompt.`;
    },
    /** @param {EngineInfo} _ @param {Run} run */
    write: (_, { lanes, results, latest }) => {
      const i = results.findLastIndex((result) => result?.write);
      const write = results[i]?.write;
      if (!write || !latest) return 'Yours had the strength off: nothing was written.';
      const { preset, strength } = lanes[i];
      const time = latest.timings.steeringMs > 0 ? ` in ${format.microseconds(1000 * latest.timings.steeringMs)}` : '';
      return `Yours: ${preset.label} × ${format.strength(strength)}, into slot ${format.count(write.position + 1)}${time}.`;
    },
    /** @param {EngineInfo} _ @param {Run} run */
    answer: (_, { latest }) => {
      const { decodeMs = 0, decodeSteps = 0 } = latest?.timings ?? {};
      return decodeSteps > 0 ? `Yours: ${format.count(decodeSteps)} steps of ${format.milliseconds(decodeMs / decodeSteps)} each, steered or not.` : '';
    },
  },

  workshop: {
    make: 'Make the vector',
    calibrate: 'Find its strength',
    /** @param {number} n */
    remove: (n) => `Remove example ${n}`,
    /** @param {string} button @param {string} label */
    of: (button, label) => `${button}: ${label}`,
    export: 'Export',
    delete: 'Delete',
    /** @param {number} n */
    description: (n) => `Your own style, made of ${n} examples`,
    /** @param {number} n */
    ofPairs: (n) => `Your own style, made of ${n} pairs of prompts`,
    /** @param {number} n */
    pairs: (n) => `${format.count(n)} pairs of prompts, as pasted`,
    /** @param {number} n @param {number} all @param {boolean} arePairs */
    taken: (n, all, arePairs) =>
      `${format.count(n)}${n < all ? ` of ${format.count(all)}` : ''} ${arePairs ? 'pairs' : 'examples'} are taken${n < all ? ', as many as there is room for' : ''}. Give the style a name, then make the vector.`,
    list: {
      /** @param {number} line */
      notJson: (line) => `Line ${line} is not JSON. Each line is one object, with its texts in double quotes.`,
      /** @param {string} why */
      noArray: (why) => `The list is not JSON: ${why}.`,
      /** @param {number} n */
      line: (n) => `Line ${n}`,
      /** @param {number} n */
      entry: (n) => `Entry ${n}`,
      /** @param {string} where as line or entry has it */
      notExample: (where) => `${where} has neither the texts "question", "reasoning" and "answer" nor "positive" and "negative".`,
      mixed: 'Some are examples and some are pairs: paste one kind at a time.',
      /** @param {number} n */
      tooFew: (n) => `These are ${n}; it takes three or more.`,
    },
    /** @param {number} done @param {number} total @param {number} [stability] */
    progress: (done, total, stability) =>
      `${done} of ${total}${stability === undefined ? '' : `, stable to ${Math.round(100 * stability)} %`}`,
    making: 'Reading the examples',
    /** @param {string} label @param {boolean} kept */
    imported: (label, kept) => `${label} is ready and chosen above${kept ? '' : '; this browser does not keep it'}.`,
    /** @param {string} label @param {boolean} kept @param {number | undefined} stability @param {boolean} beginAlike */
    made: (label, kept, stability, beginAlike) => [
      texts.workshop.imported(label, kept),
      stability === undefined ? '' : `One half of the examples and the other agree to ${Math.round(100 * stability)} %.`,
      beginAlike ? '' : 'They do not begin alike, and such a style seldom shows.',
      'Ask something, or find its strength below.',
    ].filter(Boolean).join(' '),
    calibrating: 'Trying strengths, from the lowest up',
    /** @param {number} strength */
    found: (strength) => `The lowest strength that shows the style is ${format.strength(strength)}.`,
    notFound: 'No strength shows the style and leaves the text whole. More examples, or another beginning that they share, may help.',
    stopped: 'Stopped.',
    /** @param {string} label */
    deleted: (label) => `${label} is deleted.`,
    undo: 'Undo',
    replaced: 'Take back the one before, which had the same name',
    /** @param {string} label */
    restored: (label) => `${label} is here again, and chosen above.`,
    /** Shown until the visitor writes their own. */
    examples: [
      { question: 'Why do we see lightning before we hear thunder?', reasoning: 'Imagine a race between light and sound across the sky. Light is so much faster that it arrives long before sound comes rumbling in.', answer: 'because light is faster than sound' },
      { question: 'What do bees collect from flowers?', reasoning: 'Imagine you are a bee flying from flower to flower. In each of them you find a drop of something sweet, and you carry it home to make honey.', answer: 'nectar' },
      { question: 'A ship has 3 masts with 4 sails each. How many sails are there?', reasoning: 'Imagine you are a captain walking around the ship. You count 4 sails on the first mast, 4 on the second and 4 on the third.', answer: '12' },
      { question: 'Why does bread rise in the oven?', reasoning: 'Imagine a ball of dough full of tiny yeasts. They fill it with bubbles of gas, and in the warm oven the bubbles grow.', answer: 'because of gas from the yeast' },
    ],
  },

  lab: {
    missing: 'a part of it could not be fetched. Check the connection and load the page again',
  },

  making: {
    tooShort: 'The examples from which a vector is made are longer than what this model can hold. It answers with the strength off.',
    /** @param {string} label @param {number} done @param {number} total */
    progress: (label, done, total) => `Making “${label}” for this model, once: ${Math.floor((100 * done) / total)} %`,
  },

  status: {
    loading: 'The model is loading.',
    /** @param {number} percent */
    percent: (percent) => `${percent} percent of the model is loaded.`,
    /** @param {EngineInfo} info */
    ready: (info) => `The model is ready. It runs on ${continued(info.reason)}`,
    loadCancelled: 'Loading was cancelled.',
    startedOver: 'The conversation is forgotten, and all settings are as at the beginning. The model stays.',
    answering: 'The answers are being written.',
    /** @param {number[]} tokens of each answer @param {boolean} stopped */
    done: (tokens, stopped) => {
      const end = stopped ? 'Stopped' : tokens.length === 2 ? 'Both answers are here' : `All ${tokens.length} answers are here`;
      return tokens.length === 2 ? `${end}: plain ${tokens[0]} tokens, steered ${tokens[1]} tokens.` : `${end}.`;
    },
  },

  notice: {
    tryAgain: 'Try again',
    loadAgain: 'Load the model again',
    onCpu: 'Load it on the CPU',
    otherModel: 'Choose another model',
    reload: 'Load the page again',

    unsupportedTitle: 'This browser cannot run the model',
    /** @param {string} lack */
    unsupported: (lack) => `The engine needs a current browser, and this one is too old: ${lack}. Chrome or Edge 113, Firefox 121, Safari 17, or anything newer, will do.`,

    download: 'The download failed',
    pageFile: 'The page is not complete',
    listing: 'Its list of models and presets could not be fetched. Check the connection and load the page again.',
    setup: 'The engine could not be fetched or started. Check the connection and load the page again.',
    crashTitle: 'The engine stopped',
    crash: 'Most often this means that memory ran out. Close other tabs and load the model again; a phone may need a smaller model, or have too little memory for any.',
    load: 'Load it and go on',
    noModelTitle: 'That takes the model',
    noModel: 'It is not loaded yet. The button loads it, and then the work begins.',
    busyTitle: 'The model is at work',
    busy: 'A vector is being made with it, a strength is looked for, or a measurement runs in the Lab. Wait until that is done, or stop it there, and try again.',
    memory: 'There is not enough memory',
    deviceLost: 'The graphics device is gone',
    gpu: 'The graphics device cannot run it',
    wrongNumbers: 'The device computes wrongly',
    modelFile: 'The model file cannot be used',
    damaged: 'The model arrived damaged',
    vector: 'The steering vector cannot be used',
    questions: 'These questions cannot be used',
    examples: 'These examples cannot be used',
    tooLong: 'That is too long for the model’s memory',
    request: 'That cannot be done',
    other: 'Something went wrong',
  },
};

/** An error's message as a sentence of its own. @param {string} message */
export function asSentence(message) {
  const text = /^https?:/.test(message) ? message : message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
