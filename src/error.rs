//! What can go wrong, in words that name the cause and the next step.
//!
//! The page shows these texts to visitors as they are, so they avoid the vocabulary of the code.

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every way in which loading, running or steering a model can fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not those of a GGUF file.
    #[error(
        "this is not a GGUF model file: it starts with {found:?} instead of \"GGUF\". Choose a .gguf file; a saved web page or an LFS pointer often hides under that name"
    )]
    NotGguf {
        /// The first bytes, as text where they are text.
        found: String,
    },
    /// The stream ended before everything that the header announces had come.
    #[error(
        "the model file is cut short: {what} needs {need} bytes, but the file ends after {have}. Fetch it again"
    )]
    Truncated {
        /// The part that is incomplete.
        what: String,
        /// Bytes from the start of the file up to the end of that part.
        need: u64,
        /// Bytes that the file has.
        have: u64,
    },
    /// The file is another one than was asked for.
    #[error(
        "the model file is damaged, or another file than expected: its SHA-256 is {found}, not {expected}. Fetch it again"
    )]
    Checksum {
        /// What its SHA-256 was to be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The file is not the part of a split model that it ought to be.
    #[error(
        "the model is split over {count} files, and {problem}. All of them are needed, in order"
    )]
    Split {
        /// Files that make the model.
        count: u64,
        /// What is wrong, as the end of a sentence.
        problem: String,
    },
    /// The header is inconsistent.
    #[error(
        "the model file's header cannot be read: {reason}. The file is damaged or of a version other than GGUF 2 or 3; fetch it again"
    )]
    BadHeader {
        /// What the parser met.
        reason: String,
    },
    /// The model is of a family that the engine has no forward pass for.
    #[error(
        "models of the architecture {found:?} are not supported; this engine runs \"llama\" and \"qwen2\" models, such as SmolLM2, Llama 3 and Qwen2.5"
    )]
    UnsupportedArchitecture {
        /// `general.architecture` of the file.
        found: String,
    },
    /// A metadata key is missing or has a value that makes no sense.
    #[error(
        "the model file's metadata {key:?} {problem}. The file was converted incompletely; use another conversion of the model"
    )]
    Metadata {
        /// The GGUF key.
        key: String,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error(
        "the model file lacks the tensor {name:?}. It was converted incompletely; use another conversion of the model"
    )]
    MissingTensor {
        /// The GGUF tensor name.
        name: String,
    },
    /// A tensor that the architecture does not have, and that would change what it computes.
    #[error(
        "the model file has the tensor {name:?}, which models of its architecture do not have in this engine. It belongs to a variant that is not supported; use a model such as SmolLM2 or Qwen2.5"
    )]
    UnknownTensor {
        /// The GGUF tensor name.
        name: String,
    },
    /// A tensor has other sizes than the metadata says.
    #[error(
        "the tensor {name:?} has the shape {found:?}, but the model's metadata asks for {expected:?}. Use another conversion of the model"
    )]
    TensorShape {
        /// The GGUF tensor name.
        name: String,
        /// Rows and columns by the metadata.
        expected: Vec<usize>,
        /// Rows and columns in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that the engine does not read.
    #[error(
        "the tensor {name:?} is stored as {found}, which is not supported; use a Q8_0, Q4_0, Q4_K_M or F16 version of the model"
    )]
    TensorType {
        /// The GGUF tensor name.
        name: String,
        /// The type's name.
        found: String,
    },
    /// The vocabulary in the file does not make a tokenizer.
    #[error("the model file's vocabulary cannot be used: {reason}")]
    Tokenizer {
        /// What the tokenizer library said.
        reason: String,
    },
    /// The chat template does not render.
    #[error("the model's chat template failed: {reason}")]
    ChatTemplate {
        /// What the template engine said.
        reason: String,
    },
    /// There is not enough memory outside the graphics card.
    #[error(
        "{what} needs {need} bytes of memory, which is more than there is. Close other programs or use a smaller model"
    )]
    OutOfMemory {
        /// What was to be allocated.
        what: String,
        /// Its size.
        need: u64,
    },
    /// There is no graphics adapter at all.
    #[error(
        "no graphics adapter was found{detail}. Use the CPU backend, or install a Vulkan, Metal or DirectX 12 driver; in a browser, one with WebGPU"
    )]
    NoAdapter {
        /// What the system said, with a leading separator, or nothing.
        detail: String,
    },
    /// The GPU refused a piece of work.
    #[error(
        "the graphics driver reported an error: {reason}. Use the CPU backend, or update the driver"
    )]
    Gpu {
        /// What the driver or validation said.
        reason: String,
    },
    /// The model or cache does not fit the adapter's limits.
    #[error(
        "{what} needs {need} bytes of graphics memory in one piece, but this adapter allows {limit}. Use a smaller model or the CPU backend"
    )]
    GpuLimit {
        /// What was to be allocated.
        what: String,
        /// Its size.
        need: u64,
        /// The adapter's limit.
        limit: u64,
    },
    /// The GPU device went away: driver reset, sleep, or the browser took it back.
    #[error(
        "the connection to the graphics device was lost ({reason}). Load the model again; if that fails, use the CPU backend"
    )]
    DeviceLost {
        /// What the system said.
        reason: String,
    },
    /// A computation of the CPU backend failed.
    #[error("the computation failed on the CPU: {0}")]
    Cpu(#[from] candle_core::Error),
    /// The forward pass gave logits that are not numbers.
    #[error(
        "the computation gave a result that is not a number: the device or its driver computes wrongly. Load the model again with the other backend"
    )]
    NotANumber,
    /// A vector file cannot be read.
    #[error(
        "this steering vector file cannot be used: {reason}. It must be a safetensors file with f32 tensors \"keys\" and \"values\" of the shape [layers, KV heads, head size]"
    )]
    VectorFile {
        /// What is wrong with it.
        reason: String,
    },
    /// A vector was made for a model of other sizes.
    #[error(
        "this steering vector was made for {vector}, but the loaded model has {model}. Extract a vector with this model, or load the model it was made for"
    )]
    VectorMismatch {
        /// The vector's sizes.
        vector: String,
        /// The model's sizes.
        model: String,
    },
    /// A pairs file cannot be read.
    #[error("the vector cannot be made: {reason}")]
    Pairs {
        /// What is wrong with them.
        reason: String,
    },
    /// A file of questions cannot be read.
    #[error(
        "the questions cannot be used: {reason}. A file of questions is a JSON list, or JSON lines, in the form of GSM8K (\"question\" and \"answer\") or of ARC (\"question\", \"choices\" and \"answerKey\")"
    )]
    Questions {
        /// What is wrong with them.
        reason: String,
    },
    /// The prompt and the answer do not fit the KV cache.
    #[error("{need} tokens do not fit the context of {capacity}. Shorten the prompt or {}", fewer(*.lanes))]
    ContextFull {
        /// Tokens wanted in one lane.
        need: usize,
        /// Slots that a lane has.
        capacity: usize,
        /// Lanes that share the cache.
        lanes: usize,
    },
    /// A request that makes no sense, from a caller or a command line.
    #[error("{0}")]
    InvalidRequest(String),
    /// The user asked for a stop during work that has no partial result.
    #[error("stopped")]
    Cancelled,
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A download failed.
    #[error("{url} could not be downloaded: {reason}. Check the connection and try again")]
    Fetch {
        /// The address.
        url: String,
        /// Status or network error.
        reason: String,
    },
}

/// What helps where so many lanes have too little context each.
fn fewer(lanes: usize) -> &'static str {
    match lanes {
        0..=2 => "ask for fewer tokens",
        _ => "ask for fewer answers at once, which leaves more to each",
    }
}
