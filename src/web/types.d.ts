/** Where a model runs: `auto` takes the GPU, unless there is none or it computes in software. */
export type BackendChoice = "auto" | "gpu" | "cpu";

/** Which model to load, and where it is to run. */
export interface LoadRequest {
  /** Address of the GGUF file, relative to the page or worker. */
  url?: string;
  /** Or its bytes, wherever they come from; several files where the model is split. */
  files?: ModelFile[];
  backend?: BackendChoice;
  /** Positions of each lane of the KV cache; 2048 where it is missing. */
  capacity?: number;
  /** `EngineInfo.kernels` of an earlier load on this device, to save the second in which it is measured. */
  kernels?: string;
}

/** A GGUF file as its bytes come. */
export interface ModelFile {
  /** From the first byte to the last, in chunks of any size. */
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Size in bytes, where it is known; it may become known while the chunks come. */
  bytes?: number;
  /** SHA-256 in hexadecimal; another file is refused. */
  sha256?: string;
  /** Whether the file is known to have it, which saves the second in which it is computed. */
  verified?: boolean;
}

/** How far a download is, in bytes. */
export interface LoadProgress {
  done: number;
  total?: number;
}

/** A loaded model and what it runs on. */
export interface EngineInfo {
  model: ModelInfo;
  backend: "gpu" | "cpu";
  /** The adapter's name, or the CPU's precision. */
  device: string;
  /** Whether a GPU adapter computes in software. */
  software: boolean;
  /** Which backend runs and why, as one sentence. */
  reason: string;
  /** Sequences that the KV cache holds as it was loaded; `GenerateRequest.lanes` says when it is cut anew. */
  lanes: number;
  /** Positions of each. */
  capacity: number;
  /** Which kernels the GPU runs, where they were measured: to be kept for the next load. */
  kernels?: string;
  /** After loading. */
  memory: MemoryUse;
}

/** Memory that an engine holds, in bytes. */
export interface MemoryUse {
  /** Buffers on the GPU; 0 on the CPU. */
  gpu: number;
  /** The WebAssembly memory of this page or worker, which never shrinks. */
  wasm: number;
}

/** The sizes of a model, and its file. */
export interface ModelInfo {
  /** The name in the file, maybe empty. */
  name: string;
  layers: number;
  width: number;
  kvHeads: number;
  headDim: number;
  /** Longest sequence that it was trained for. */
  contextLength: number;
  bytes: number;
  sha256: string;
  /** The SHA-256 of each file, where the model is split over several. */
  parts: string[];
}

/** A loaded steering vector. */
export interface VectorInfo {
  /** The name that requests use. */
  id: string;
  /** Layers, KV heads and head size that it was made for. */
  dims: [number, number, number];
  /** Text that follows the prompt, so that the steered slot is of the right kind. */
  offset: string;
  recommended: StrengthValues;
  label?: string;
  description?: string;
  /** The repetition penalty to start with. */
  repetitionPenalty?: number;
  /** Number of contrastive pairs that it was made from. */
  pairs?: number;
}

/** The coefficients of one write to the cache; 0 and 0 write nothing. */
export interface StrengthValues {
  /** Factor of the vector's values. */
  values: number;
  /** Factor of the vector's keys. */
  keys: number;
  /** First layer that is written to, counted from 0. */
  firstLayer: number;
  /** Last layer that is written to; all from the first one on where it is missing. */
  lastLayer?: number;
  /** Whether 1 is the vector as it is, or the length of the steered slot, layer by layer. */
  unit?: "vector" | "slot";
}

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** One prompt, and how each lane answers it. */
export interface GenerateRequest {
  /** The conversation so far; its last message is the question. */
  messages: ChatMessage[];
  /**
   * One entry for each answer; at most eight. The KV cache is two lanes of `EngineInfo.capacity`
   * positions. A request for more answers has it cut into eight lanes, of about a quarter as many each;
   * the next one that does with two has it put together again. What was cached is forgotten then.
   */
  lanes: LaneOptions[];
  /**
   * The lane of the KV cache that the first answer takes, the others those after it; 0 where it is
   * missing. So an answer is made anew beside others that stay: that of lane 1 with another strength, to
   * be inspected beside the plain one. Where it is given, the cache stays cut as it is if it has the lanes.
   * Events and results count from 0 all the same.
   */
  firstLane?: number;
  /** How tokens are chosen, in all lanes. */
  sampling?: SamplingOptions;
  /** Longest answer, in tokens. */
  maxTokens: number;
  /** Whether an answer that repeats itself ends there. */
  stopRepeating?: boolean;
}

/** How one lane answers. */
export interface LaneOptions {
  /** The conversation of this lane, instead of the request's. */
  messages?: ChatMessage[];
  /** Text whose tokens follow the prompt. A steered lane takes its vector's where it is missing. */
  offset?: string;
  /** All of it is added in one write. */
  steering?: SteeringOptions[];
  /**
   * In this lane alone, instead of that of `sampling`; where both are missing, a steered lane has its
   * vector's.
   */
  repetitionPenalty?: number;
}

/** A loaded vector and how strongly it is added. */
export interface SteeringOptions {
  /** Name of the vector. */
  vector: string;
  /** What the vector recommends where it is missing. */
  strength?: StrengthValues;
}

/** How tokens are chosen; what is missing has no effect. */
export interface SamplingOptions {
  /** 0 takes the most likely token. */
  temperature?: number;
  /** Draws from so many of the most likely tokens; 0 for all. */
  topK?: number;
  /** Draws from the most likely tokens that together have this probability. */
  topP?: number;
  /** Draws from tokens that are at least this many times as likely as the most likely one. */
  minP?: number;
  /** Makes tokens that were there before less likely; 1 for no change. */
  repetitionPenalty?: number;
  /** The same seed gives the same answer. */
  seed?: number;
}

/** Why an answer ended. */
export type StopReason = "end_of_text" | "max_tokens" | "context_full" | "repeating" | "cancelled";

/** What happens during generation, in this order; tokens of the lanes alternate. */
export type GenerateEvent =
  /** How many tokens the prompt of each lane of the request has, its offset not counted. */
  | { type: "prompt"; tokens: number[] }
  /** So much of the prompt is in the cache; what was there before is not counted. */
  | { type: "prefill"; done: number; total: number }
  /** A lane has one more token; `text` is what it adds, which may be nothing. */
  | { type: "token"; lane: number; token: number; text: string }
  | { type: "finished"; lane: number; reason: StopReason };

/** The answers. */
export interface GenerateResult {
  /** Of the first lane. */
  promptTokens: number;
  lanes: LaneResult[];
  timings: Timings;
  memory: MemoryUse;
}

/** The answer of one lane. */
export interface LaneResult {
  tokens: number[];
  text: string;
  stopReason: StopReason;
  tokensPerSecond: number;
  /** Tokens of its prompt, the offset not counted. */
  promptTokens: number;
  /** What steering wrote; missing in a lane that was not steered. */
  write?: SlotWrite;
}

/** What one write to the KV cache changed: by layer, all KV heads together. */
export interface SlotWrite {
  /** The position that was written to. */
  position: number;
  /** The length of what was added to the values, in parts of the length of what was there. */
  values: number[];
  /** The same for the keys. */
  keys: number[];
}

/** Where the time went, in milliseconds. */
export interface Timings {
  prefillMs: number;
  /** Tokens that were computed for it. */
  prefillTokens: number;
  /**
   * The write of the vectors, until the device says that it is done: on a GPU mostly that answer's way.
   * 0 without steering. Browsers round their clocks, to 0.005 ms up to 1 ms, so a CPU's write may be 0
   * too.
   */
  steeringMs: number;
  decodeMs: number;
  decodeSteps: number;
  /** From the request to the first token. */
  firstTokenMs: number;
}

/** What one write to the cache did. */
export interface Inspection {
  /** The position that was written to. */
  position: number;
  /** By layer and KV head, the length of what was added to the keys, in parts of what was there. */
  keys: number[][];
  /** The same for the values. */
  values: number[][];
  /** The tokens of the steered answer, in their order. */
  tokens: TokenInspection[];
}

/** One token of the steered answer, and what else could have come there. */
export interface TokenInspection {
  token: number;
  text: string;
  /** KL(steered || plain) of what comes at this place, in nats. */
  kl: number;
  /** The likeliest tokens with steering, the likeliest first. */
  steered: Candidate[];
  /** The likeliest tokens without, after the same text. */
  plain: Candidate[];
  /** How much the token before, from which this one follows, attends to the slot, with steering and
      without: by layer, from 0 to 1, the mean over the query heads. */
  attention: { steered: number[]; plain: number[] };
}

export interface Candidate {
  token: number;
  text: string;
  /** From 0 to 1, before any sampling parameter. */
  p: number;
}

/** What to measure, and how long that may take. */
export interface BenchmarkRequest {
  /** Weights made up in memory, or a GGUF file behind an address. */
  model: { synthetic: "smollm2-135m" | "smollm2-360m"; quant: string; layers?: number } | { url: string };
  backend?: BackendChoice;
  /** All lengths and lanes, instead of what a visitor waits for. */
  full?: boolean;
  budgetMs: number;
  about: BenchmarkAbout;
}

/** What the benchmark cannot know of itself. */
export interface BenchmarkAbout {
  /** ISO 8601. */
  date: string;
  command: string;
  /** The browser. */
  host: string;
  /** The system's load average when it began. */
  load?: number;
}

export interface BenchmarkProgress {
  /** From 0 to 1, of the time that it may take. */
  part: number;
  /** What is being measured, in a few words. */
  doing: string;
}

export interface BenchmarkResult {
  report: BenchmarkReport;
  /** All figures as text in columns. */
  table: string;
}

/** The median, the least, and the number of samples. */
export interface Timing {
  median: number;
  least: number;
  samples: number;
}

export interface BenchmarkReport {
  about: BenchmarkAbout;
  version: string;
  device: { backend?: "gpu" | "cpu"; name: string; software: boolean };
  model: {
    name: string;
    synthetic: boolean;
    quant: string;
    /** Bytes of weights that a decode step reads. */
    weightBytes: number;
    layers: number;
    width: number;
    ffnWidth: number;
    heads: number;
    kvHeads: number;
    vocabSize: number;
  };
  prefill: { tokens: number; ms: Timing; tokensPerSecond: number }[];
  decode: {
    context: number;
    lanes: number;
    /** Of one step, which gives every lane a token. */
    ms: Timing;
    /** All lanes together. */
    tokensPerSecond: number;
    overOneLane?: number;
    bandwidthShare?: number;
  }[];
  steering?: { writeUs: Timing; overToken: number; restartMs?: Timing };
  dispatchesPerStep?: number;
  /** A plain copy of a large buffer, bytes read and written. */
  copy?: { bytes: number; bytesPerSecond: number };
  /** The GPU's time of one decode step, stage by stage. */
  stages: { stage: string; dispatches: number; us: number }[];
  leftOut: string[];
  seconds: number;
}

/** A question with its answer, and the way there in each style. */
export interface ContrastItem {
  question: string;
  choices?: string[];
  /** A letter where there are choices, otherwise what ends "The answer is". */
  answer: string;
  /** For each style's id, the reasoning that comes before the answer. */
  reasoning: Record<string, string>;
}

/** Two prompts in the model's chat format that differ only in how their examples are answered. */
export interface ContrastivePair {
  positive: string;
  negative: string;
}

/** How to make the vector of one style, and how to use it. */
export interface Style {
  id: string;
  label: string;
  description: string;
  /** A regular expression that finds the style in an answer; letters and digits are those of ASCII. */
  marker: string;
  /** Pairs to make of the items. */
  pairs?: number;
  /** Worked examples in each prompt. */
  shots?: number;
  /** How the examples of a question are chosen from the other items. */
  selection?: "random" | "similar";
  seed?: number;
  extraction?: ExtractOptions;
  /** Text that follows the prompt. */
  offset: string;
  recommended: StrengthValues;
  repetitionPenalty: number;
}

/** How a vector is made of pairs; what is missing is as in the paper. */
export interface ExtractOptions {
  token?: "last" | "penultimate" | { index: number };
  contrast?: "difference" | "positive";
  average?: "mean" | { clusters: number };
  /** Keeps so many heads. */
  heads?: number;
  keyFrame?: "cached" | "zero";
}

/** A vector to make: of items, or of pairs. */
export interface ExtractRequest {
  style: Style;
  items?: ContrastItem[];
  pairs?: ContrastivePair[];
  /** The name of the set, for the vector's file. */
  set: string;
}

export interface ExtractProgress {
  /** Prompts that are done. */
  done: number;
  total: number;
  /** The cosine of what the odd and the even pairs give so far. */
  stability?: number;
}

export interface CalibrateProgress {
  done: number;
  total: number;
}

/** What was found for a vector. */
export interface Calibration {
  /** Missing where none of the strengths is good. */
  strength?: StrengthValues;
  trials: {
    values: number;
    /** Answers that show the style, repeat themselves, or are broken; and all. */
    marked: number;
    loops: number;
    broken: number;
    answers: number;
    nll: number;
  }[];
}

/** What to measure. */
export interface EvaluateRequest {
  /** JSON lines in the form of GSM8K or ARC. */
  questions: string;
  conditions: (Omit<LaneOptions, "messages"> & {
    name: string;
    /** What follows the question, in a paragraph of its own. */
    appended?: string;
    /**
     * Activation steering instead: the difference of the vector's pairs in the residual stream, after
     * a layer (at two thirds of the depth where it is missing), added at every token.
     */
    activation?: { vector: string; layer?: number; strength: number };
  })[];
  sampling?: SamplingOptions;
  samples?: number;
  maxTokens: number;
  /** Answers from before, which are not made again if they were made from the same. */
  answers?: EvaluateAnswer[];
  /** Whether questions with and without choices are counted together. */
  together?: boolean;
  /** The set from which the vectors were made, where activations are asked for. */
  items?: ContrastItem[];
}

export interface EvaluateAnswer {
  question: string;
  condition: string;
  sample: number;
  text: string;
  tokens: number;
  stop_reason: StopReason;
  ms_per_token?: number;
  /** A digest of all that the answer depends on. */
  made_from: string;
}

export type EvaluateProgress =
  /** Prompts of which activations are made come first. */
  | { preparing: ExtractProgress }
  /** So many answers are there; this is the latest. */
  | { done: number; total: number; answer: EvaluateAnswer };

/** A count with the 95 % interval of its share. */
export interface Rate {
  count: number;
  of: number;
  interval: [number, number];
}

export interface EvaluateResult {
  answers: EvaluateAnswer[];
  rows: {
    style?: string;
    condition: string;
    /** The condition, with the style where it is looked for in a condition of none. */
    name: string;
    /** Missing where questions with and without choices are counted together. */
    choices?: boolean;
    marked?: Rate;
    loops: Rate;
    ended: Rate;
    tokens: { mean: number; interval: [number, number] };
    right?: Rate;
    /** Missing where answers were decoded together. */
    ms_per_token?: { mean: number; interval: [number, number] };
  }[];
  /** The same as a table in Markdown. */
  table: string;
}
