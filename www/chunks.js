/** The bytes of streams and files, in chunks. */

const CHUNK_BYTES = 1 << 20;

/**
 * The bytes of a stream. Where the browser can, all chunks share their memory: each is valid until the
 * next one is asked for. Hundreds of megabytes of chunks would otherwise wait for the garbage collector.
 * @param {ReadableStream<Uint8Array>} stream
 * @param {<T>(read: Promise<T>) => Promise<T>} [within] waits for a read
 * @returns {AsyncGenerator<Uint8Array>}
 */
export async function* chunksOf(stream, within = (read) => read) {
  const read = readerOf(stream);
  for (;;) {
    const { done, value } = await within(read());
    if (done || !value) return;
    yield value;
  }
}

/** @param {ReadableStream<Uint8Array>} stream @returns {() => Promise<ReadableStreamReadResult<Uint8Array>>} */
function readerOf(stream) {
  try {
    const reader = stream.getReader({ mode: 'byob' });
    let memory = new ArrayBuffer(CHUNK_BYTES);
    return async () => {
      const result = await reader.read(new Uint8Array(memory));
      if (result.value) memory = result.value.buffer;
      return result;
    };
  } catch {
    // This browser gives chunks of its own.
    const reader = stream.getReader();
    return () => reader.read();
  }
}
