/** The lists that the page reads agree with the files that they are about. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servedAt } from './harness.mjs';

const url = servedAt();

/** @param {string} path */
async function fetched(path) {
  const response = await fetch(new URL(path, url));
  assert.equal(response.status, 200, path);
  return response;
}

test('every preset says what its vector file says, and fits its model', async () => {
  const { models } = await (await fetched('models.json')).json();
  const presets = await (await fetched('vectors/index.json')).json();
  for (const model of models) {
    if (!model.vectors) continue;
    assert.ok(presets[model.name]?.length > 0, model.name);
    for (const { file, label, description, recommended } of presets[model.name]) {
      const bytes = await (await fetched(model.vectors + file)).arrayBuffer();
      const length = Number(new DataView(bytes).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(bytes.slice(8, 8 + length)));
      const about = header.__metadata__;
      assert.equal(about.label, label);
      assert.equal(about.description, description);
      assert.equal(about.model_sha256, model.files[0].sha256);
      assert.deepEqual(
        [about.recommended_values, about.recommended_keys, about.first_layer].map(Number),
        [recommended.values, recommended.keys, recommended.firstLayer],
      );
    }
  }
});
