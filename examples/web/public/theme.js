// Before the first paint: a theme chosen on this device wins over the system's.
(() => {
  const theme = localStorage.getItem("rejoinder.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
