/**
 * Has the browser keep the page for visits without a network. Only what `cargo xtask dist` writes runs
 * this: while the page is being changed, a kept copy would be in the way.
 */

// Elsewhere than on https: and on this machine, browsers keep nothing.
if ('serviceWorker' in navigator) {
  // After everything that the visitor waits for.
  addEventListener('load', async () => {
    try {
      await navigator.serviceWorker.register(new URL('service-worker.js', document.baseURI));
    } catch (error) {
      console.warn('this browser does not keep the page:', error);
    }
  });
}
