/** What browsers have and Node lacks: an error that nobody catches ends the test. */
Object.assign(globalThis, {
  reportError: (error: unknown) => {
    throw error;
  },
});
