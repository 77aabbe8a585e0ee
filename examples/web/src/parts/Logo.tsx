/** The sign of the app. Its name stands beside it. */
export function Logo() {
  return <img className="logo" src="/icon.svg" alt="" width="72" height="72" />;
}
