/** One style for everything that is not Rust. */
export default {
  printWidth: 120,
};
