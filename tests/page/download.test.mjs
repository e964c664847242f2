/** Models from a host that does everything wrong that a host can do. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { testModels } from './harness.mjs';
import { startHost } from './host.mjs';
import { modelReady, notice, openWith } from './steps.mjs';

/** @import { Page } from 'playwright-core' */

const TINY = 'tiny-1.gguf';
const OTHER = 'tiny-2.gguf';
const bytes = (await stat(path.join(testModels, TINY))).size;
const sha256 = createHash('sha256').update(await readFile(path.join(testModels, TINY))).digest('hex');

const host = await startHost(testModels);
const mirror = await startHost(testModels);
after(() => [host, mirror].forEach((server) => server.close()));

/** The page of a site whose only model is on the host. @param {object} file of the model @param {(page: Page) => Promise<void>} visit */
async function withModel(file, visit) {
  const connect = [host.origin, mirror.origin];
  const models = [{ id: 'test', name: 'test', label: 'Test model', files: [{ urls: [`${host.origin}/${TINY}`], bytes, sha256, ...file }] }];
  const session = await openWith({ connect, models }, '?backend=cpu', beImpatient);
  try {
    await visit(session.page);
  } finally {
    await session.close();
  }
}

/** Makes the page as patient as a test can be. @param {Page} page */
async function beImpatient(page) {
  await page.context().route('**/download.js', async (route) => {
    const response = await route.fetch();
    const text = await response.text();
    const patience = /stallMs:.*?pauseMs: ?500/;
    assert.match(text, patience, 'the patience is where the test looks for it');
    const body = text.replace(patience, 'stallMs: 700, tries: 5, pauseMs: 20');
    await route.fulfill({ response, body });
  });
}

/** @param {Page} page */
async function load(page) {
  await page.locator('#model-button').click();
  await modelReady(page);
}

/** Adds a model of the visitor's own to the list. @param {Page} page @param {string} address */
async function addAddress(page, address) {
  await page.locator('#models summary').click();
  await page.locator('#models-address').fill(address);
  await page.locator('#models-address-form button').click();
}

/** What was asked of the host, in short. */
const asked = () => host.requests.map(({ range }) => range ?? 'all');

test('a connection that breaks anywhere goes on where it was', async () => {
  const cuts = [0, 1, 3, 20, 1000, 65_537, 0, 30_000, 0, 0, 0];
  host.misbehave((_, n) => ({ cutAfter: cuts[n - 1] }));
  await withModel({}, load);
  assert.equal(host.requests.length, 12);
  assert.deepEqual(asked().slice(0, 5), ['all', 'all', 'bytes=1-', 'bytes=4-', 'bytes=24-']);
});

test('a server that falls silent is asked again', async () => {
  host.misbehave((_, n) => (n === 1 ? { stallAfter: 70_000 } : undefined));
  await withModel({}, load);
  assert.deepEqual(asked(), ['all', 'bytes=70000-']);
});

test('a server with a problem is given time', async () => {
  host.misbehave((_, n) => (n <= 2 ? { status: 500 + n } : undefined));
  await withModel({}, load);
  assert.deepEqual(asked(), ['all', 'all', 'all']);
});

test('a server that cannot go on in the middle sends the beginning again, without its length too', async () => {
  for (const noLength of [false, true]) {
    host.misbehave((_, n) => ({ noRanges: true, noLength, cutAfter: n === 1 ? 100_000 : undefined }));
    await withModel({}, load);
    assert.deepEqual(asked(), ['all', 'bytes=100000-']);
  }
});

test('a redirect is followed', async () => {
  host.misbehave(({ path: at }) => (at === `/${TINY}` ? { redirect: `${mirror.origin}/${TINY}` } : undefined));
  mirror.misbehave(() => undefined);
  await withModel({}, load);
  assert.equal(mirror.requests.length, 1);
});

test('the next mirror goes on where the first one was of no use', async () => {
  const urls = [host, mirror].map(({ origin }) => `${origin}/${TINY}`);
  host.misbehave((_, n) => (n === 1 ? { cutAfter: 50_000 } : { status: 404 }));
  mirror.misbehave(() => undefined);
  await withModel({ urls }, load);
  assert.deepEqual(mirror.requests.map(({ range }) => range), ['bytes=50000-']);
});

test('a file that is not there is said, with every address', async () => {
  const urls = [host, mirror].map(({ origin }) => `${origin}/${TINY}`);
  host.misbehave(() => ({ status: 404 }));
  mirror.misbehave(() => ({ status: 403 }));
  await withModel({ urls }, async (page) => {
    await page.locator('#model-button').click();
    const said = await notice(page);
    assert.match(said, /The download failed[^]*404, there is no such file[^]*403, the file may not be read[^]*Try again/);
    host.misbehave(() => undefined);
    await page.locator('#notice-button').click();
    await modelReady(page);
  });
});

test('a damaged file is fetched once more, then said to be damaged', async () => {
  /** @param {Buffer} chunk */
  const change = (chunk) => {
    chunk[chunk.length - 40] ^= 1;
    return chunk;
  };
  host.misbehave((_, n) => (n === 1 ? { change } : undefined));
  await withModel({}, load);
  assert.deepEqual(asked(), ['all', 'all']);

  host.misbehave(() => ({ change }));
  await withModel({}, async (page) => {
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The model arrived damaged[^]*SHA-256[^]*Try again/);
    // Nothing of it is kept.
    host.misbehave(() => undefined);
    await page.locator('#notice-button').click();
    await modelReady(page);
    assert.deepEqual(asked(), ['all']);
  });
});

test('another file under the same name is refused, whether its size tells or not', async () => {
  host.misbehave(() => ({ file: OTHER }));
  await withModel({}, async (page) => {
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The model arrived damaged/);
  });
  host.misbehave(() => undefined);
  await withModel({ bytes: bytes - 1 }, async (page) => {
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The download failed[^]*longer/);
  });
  await withModel({ bytes: bytes + 1 }, async (page) => {
    await page.locator('#model-button').click();
    assert.match(await notice(page), /The download failed/);
  });
});

test('a file that changes while it is fetched is fetched anew, where no digest is known', async () => {
  host.misbehave((_, n) => (n === 1 ? { cutAfter: 100_000 } : { file: OTHER }));
  await withModel({ bytes: undefined, sha256: undefined }, load);
  assert.deepEqual(asked(), ['all', 'bytes=100000-', 'all']);
});

test('a server that has no more bytes is asked for all of them again', async () => {
  host.misbehave((_, n) => [{ cutAfter: 50_000 }, { status: 416 }][n - 1]);
  await withModel({}, load);
  assert.deepEqual(asked(), ['all', 'bytes=50000-', 'all']);
});

test('a closed tab leaves what came, and the next visit goes on from there', async () => {
  host.misbehave(() => ({ pauseMs: 30 }));
  await withModel({}, async (page) => {
    await page.locator('#model-button').click();
    await page.waitForFunction(() => Number(document.querySelector('progress')?.value) > 100_000);
    const context = page.context();
    await page.close();

    host.misbehave(() => undefined);
    const next = await context.newPage();
    await next.goto(page.url());
    await next.locator('#model-button', { hasText: 'Resume the download' }).click();
    await modelReady(next);
    const [range] = asked();
    assert.match(range, /^bytes=\d{6}-$/);
    assert.equal(host.requests.length, 1);
  });
});

test('a pause leaves what came, and the next click goes on from there', async () => {
  host.misbehave(() => ({ pauseMs: 30 }));
  await withModel({}, async (page) => {
    await page.locator('#model-button').click();
    await page.waitForFunction(() => Number(document.querySelector('progress')?.value) > 100_000);
    await page.locator('#model-button', { hasText: 'Pause' }).click();
    await page.locator('#model-detail', { hasText: 'are here already' }).waitFor();
    host.misbehave(() => undefined);
    await load(page);
    assert.match(asked()[0], /^bytes=\d{6}-$/);
  });
});

test('a host that is forgotten between two visits does not matter: the file is here', async () => {
  host.misbehave(() => undefined);
  await withModel({}, async (page) => {
    await load(page);
    host.misbehave(() => ({ status: 500 }));
    await page.reload();
    await page.locator('#model-detail', { hasText: 'Stored on this device' }).waitFor();
    await load(page);
    assert.equal(host.requests.length, 0);
  });
});

test('two tabs download a model once', async () => {
  // Longer than the second tab's engine takes to start.
  host.misbehave(() => ({ pauseMs: 200 }));
  await withModel({}, async (page) => {
    const other = await page.context().newPage();
    await other.goto(page.url());
    await page.locator('#model-button').click();
    await page.locator('#model-detail', { hasText: 'Downloading' }).waitFor();
    await other.locator('#model-button').click();
    await other.locator('#model-detail', { hasText: 'Another tab' }).waitFor();
    await Promise.all([modelReady(page), modelReady(other)]);
    assert.deepEqual(asked(), ['all']);
  });
});

/** Limits what the site may keep. @param {Page} page @param {number} quotaSize */
async function limitStorage(page, quotaSize) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin: new URL(page.url()).origin, quotaSize });
}

test('without room for it a model runs from memory, and the page says so', async () => {
  host.misbehave(() => undefined);
  await withModel({}, async (page) => {
    await limitStorage(page, 200_000);
    await load(page);
    assert.match(await page.locator('#model-detail').innerText(), /no room to keep the model/);
    await page.reload();
    await page.locator('#model-button', { hasText: 'Run it on your device' }).waitFor();
  });
});

test('the model that was not used for the longest time makes room for a new one', async () => {
  host.misbehave(() => undefined);
  await withModel({}, async (page) => {
    await load(page);
    await limitStorage(page, 500_000);
    await addAddress(page, `${host.origin}/${OTHER}`);
    await load(page);
    await page.locator('#models-stored li', { hasText: 'tiny-2' }).waitFor();
    assert.equal(await page.locator('#models-stored li').count(), 1);
  });
});

test('what is stored can be deleted', async () => {
  host.misbehave(() => undefined);
  await withModel({}, async (page) => {
    await load(page);
    await page.locator('#models summary').click();
    await page.locator('#models-stored li', { hasText: 'Test model: 0.3 MB' }).getByRole('button').click();
    await page.locator('#models-status', { hasText: 'is deleted' }).waitFor();
    assert.equal(await page.locator('#models-stored li').count(), 0);
    await page.reload();
    await load(page);
    assert.equal(host.requests.length, 2);
  });
});

test('nothing is deleted for a model that would not fit even then', async () => {
  host.misbehave(() => undefined);
  await withModel({}, async (page) => {
    await load(page);
    await limitStorage(page, 400_000);
    await addAddress(page, `${host.origin}/smollm2-360m-q4_k_m.gguf`);
    await page.locator('#model-button').click();
    await page.locator('#model-button', { hasText: 'Cancel' }).waitFor();
    await page.waitForFunction(() => Number(document.querySelector('progress')?.value) > 1e6);
    await page.locator('#model-button').click();
    await page.locator('#models-stored li', { hasText: 'Test model: 0.3 MB' }).waitFor();
  });
});

test('a model without a known digest is kept too, whole or in parts', async () => {
  for (const name of [OTHER, 'split-00002-of-00003.gguf']) {
    host.misbehave(() => undefined);
    await withModel({}, async (page) => {
      await addAddress(page, `${host.origin}/${name}`);
      await load(page);
      host.misbehave(() => ({ status: 500 }));
      await page.reload();
      await page.locator('#model-detail', { hasText: 'Stored on this device' }).waitFor();
      // A second tab reads it at the same time.
      const other = await page.context().newPage();
      await other.goto(page.url());
      await Promise.all([load(page), load(other)]);
      assert.equal(host.requests.length, 0);
    });
  }
});

test('a database that a later version has taken does not cost what is stored', async () => {
  host.misbehave(() => undefined);
  await withModel({}, async (page) => {
    await load(page);
    const other = await page.context().newPage();
    await other.goto(new URL('models.json', page.url()).href);
    await other.evaluate(() => new Promise((resolve, reject) => {
      const request = indexedDB.open('cache-steering', 99);
      request.onsuccess = () => resolve(request.result.close());
      request.onerror = () => reject(request.error);
    }));
    await page.locator('#models summary').click();
    await page.waitForTimeout(300);
    const files = await page.evaluate(async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('models');
      // @ts-ignore the types of Node lack it
      return (await Array.fromAsync(folder.keys())).length;
    });
    assert.equal(files, 1);
  });
});

test('a model that is split over several files is one model', async () => {
  host.misbehave(() => undefined);
  await withModel({}, async (page) => {
    await addAddress(page, `${host.origin}/split-00001-of-00003.gguf`);
    await page.locator('#model-headline', { hasText: 'split' }).waitFor();
    await load(page);
    assert.deepEqual(host.requests.map(({ path: at }) => at), [1, 2, 3].map((n) => `/split-0000${n}-of-00003.gguf`));
  });
});
