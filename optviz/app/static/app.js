// The switches of the header: what they choose is kept in a cookie of this host, and nowhere else.

const remember = (name, value) => {
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=strict`;
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-cookie]");
  if (button) {
    remember(button.dataset.cookie, button.dataset.value);
    location.reload();
  } else if (target.closest("[data-theme-button]")) {
    const dark = !document.body.classList.contains("body--dark");
    remember("optviz-theme", dark ? "dark" : "light");
    Quasar.Dark.set(dark);
  }
});
